"""What the fuzz tests share: a command run in this process, and what it may do."""

import contextlib
import io
import resource
import signal

import h5py
from hypothesis import HealthCheck, Phase, settings

from tpl_lightning.__main__ import main

SECONDS = 30  # of its own work in which a command must end; ten times as long on the clock, as others may work too
GROWTH = 1.5 * 2**20  # KiB by which this process may grow over a whole test


def plain(count):
    """Settings of the tests that run always: the same cases each time, so that no run fails by chance."""
    unhealthy = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]
    return settings(max_examples=count, deadline=None, derandomize=True, database=None, suppress_health_check=unhealthy)


def many(count):
    """Settings of the slow tests: other cases each time; a failure is printed with what makes it again."""
    return settings(plain(count), derandomize=False, print_blob=True, phases=list(Phase))


def _too_long(*_):
    raise TimeoutError(f"expected the command to end within {SECONDS} s")


def run(*arguments):
    """Run a command; check that it ends in time with 0, or with 2 and one line, and return the code and that line."""
    out, err = io.StringIO(), io.StringIO()
    before = {number: signal.signal(number, _too_long) for number in (signal.SIGALRM, signal.SIGPROF)}
    signal.alarm(10 * SECONDS)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([str(argument) for argument in arguments])
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
    assert code in (0, 2), f"exit code {code}: {err.getvalue()}"
    said = [line for line in err.getvalue().splitlines() if line.startswith("tpl: error:")]
    assert len(said) == (code == 2), err.getvalue()
    if said:
        assert err.getvalue().rstrip("\n").splitlines()[-1] == said[0], err.getvalue()
        said[0].encode()  # can be printed
    return code, said[0] if said else ""


@contextlib.contextmanager
def bounded_memory():
    """Check that this process does not grow much while the block runs."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < GROWTH


def mutated(content, edits):
    """Return bytes with edits (share of the length, what, value) applied: overwritten, cut, or put in."""
    content = bytearray(content)
    for share, what, value in edits:
        place = int(share * max(len(content) - 1, 0))
        if what == "write":
            content[place : place + len(value)] = value
        elif what == "insert":
            content[place:place] = value
        elif what == "drop":
            del content[place : place + len(value)]
        else:
            del content[place:]
    return bytes(content)


def edit_file(path, how):
    """Change an HDF5 file; edits that HDF5 itself refuses are none."""
    with h5py.File(path, "r+") as file, contextlib.suppress(ValueError, TypeError, OSError, KeyError, RuntimeError):
        how(file)
