"""The command line: ``tpl <command> [config.yaml ...] [key=value ...]``."""

import errno
import gc
import io
import os
import signal
import sys
from importlib import import_module

from tpl_lightning import __version__
from tpl_lightning.config import near_miss
from tpl_lightning.errors import UserError, first_line
from tpl_lightning.files import one_line

# New objects before Python looks for cycles among them (its own default is 700 to 2,000). Importing makes half a
# million that stay, and looking through them again and again took .6 s of `tpl fit`.
_FEW_COLLECTIONS = 20_000

COMMANDS = {
    "fit": "train an aligner on an embedding cache and score it: tpl fit experiments/genai.yaml [key=value ...]",
    "test": "align and score other videos with a trained model: tpl test runs/NAME data.cache=OTHER.h5",
    "bench": "run every method on one cache and make one table: tpl bench experiments/genai.yaml [key=value ...]",
    "sweep": "search settings with a sweep file, here or with W&B: tpl sweep experiments/sweeps/genai.yaml count=20",
    "cache": "make or look at an embedding cache: tpl cache embed VIDEOS out=PATH, import, merge, info, validate",
    "render": "draw clips whose true progress is known, and embed them: tpl render out=PATH.h5 num_clips=82 seed=0",
    "sync": "videos in, one video in which all move in step out: tpl sync clips/ out=synced.mp4, or runs/NAME first",
    "transfer": "carry phase labels, or the progress of each frame: tpl transfer runs/NAME clips/ out=labels.csv",
    "retrieve": "the matching frame of every video: tpl retrieve runs/NAME video=NAME time=SECONDS",
    "find": "find and count actions in a long recording: tpl find runs/NAME long.mp4 clips=found/",
    "view": "a page on which to look at videos in step: tpl view clips/, or tpl view runs/NAME",
    "doctor": "what works on this machine: versions, devices, warps",
}

_ROOM = "free some space, or choose another folder"
# What the machine refuses, nobody's mistake in the code, and the ways out.
_REFUSED = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EFBIG), _ROOM),
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), "let the process open more files (ulimit -n)"),
    **dict.fromkeys((errno.ENAMETOOLONG, errno.ELOOP), "give another name"),
}


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    usage = "usage: tpl <command> [config.yaml ...] [key=value ...]"
    return "\n".join([f"tpl_lightning {__version__}", usage, "", *lines, "", "tpl <command> --help says more."])


def _use_utf8() -> None:
    """Start anew in Python's UTF-8 mode where the locale cannot name files: what is typed is UTF-8 nevertheless."""
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return
    os.environ["PYTHONUTF8"] = "1"
    os.execv(sys.executable, [sys.executable, "-m", "tpl_lightning", *sys.argv[1:]])


def _output_is_gone() -> bool:
    """Tell whether nobody reads what is printed any more; if so, what is left of it is thrown away."""
    import select

    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    if not poll.poll(0):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def _run(arguments: list[str]) -> int:
    """Run one command, or say what there is."""
    if not arguments or arguments[0] in {"-h", "--help", "help"}:
        print(_help())
        return 0
    if arguments[0] == "--version":
        print(__version__)
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        raise UserError(f"{name}: unknown command{near_miss(name, COMMANDS)}; there are: {', '.join(COMMANDS)}.")
    # Imported here, so that help and a typo are answered without loading torch.
    module = import_module(f"tpl_lightning.commands.{name}")
    given = [argument for argument in rest if argument not in ("-h", "--help")]
    if given != rest:
        from tpl_lightning.commands.options import command_help

        print(command_help(name, module, given).rstrip())
        return 0
    code: int = module.main(rest)
    return code


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return the exit code: 0, or 2 after one line on stderr about bad input."""
    if arguments is not None:
        return _guarded(arguments)
    _use_utf8()
    gc.set_threshold(_FEW_COLLECTIONS)
    try:
        return _guarded(sys.argv[1:])
    finally:
        # Python takes a moment to end, in which one more Ctrl-C would become the exit code.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # Nor is what is left searched for cycles: among the libraries' half a million objects that took .9 s.
        gc.freeze()


def _guarded(arguments: list[str]) -> int:
    """Run one command; what is no mistake in the code is one line."""
    # What cannot be shown is written as an escape, and figures are files, whatever a notebook has left here.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    os.environ["MPLBACKEND"] = "agg"
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except UserError as error:
        print(f"tpl: error: {one_line(str(error))}", file=sys.stderr)
        return 2
    except SystemExit:  # rich's answer to a broken pipe, after it has thrown away the output
        if not os.path.samestat(os.fstat(sys.stdout.fileno()), os.stat(os.devnull)):
            raise
        return 0
    except BrokenPipeError:
        if not _output_is_gone():
            raise
        return 0  # files are written before anything is said of them
    except OSError as error:  # that no command has words of its own for
        if error.errno not in _REFUSED:
            raise
        if error.filename is None and isinstance(sys.stdout, io.TextIOWrapper):
            # What is not printed yet is thrown away, or Python would try once more as it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        place = f"{error.filename}: " if error.filename else ""
        print(
            f"tpl: error: {one_line(place)}{first_line(error)}; {_REFUSED[error.errno]}.",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("tpl: stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
