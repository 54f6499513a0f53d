"""The one exception for everything a user can cause, and warnings as a user should see them."""

import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

_OF_HDF5 = re.compile("error message = '([^']*)'")


class UserError(ValueError):
    """A problem in the user's input: a file, a key, a value.

    The message is one line that names the file, video or key, says what was expected, what was found
    and the way out. The command line prints it without a traceback and exits with code 2.

    Example:
        >>> issubclass(UserError, ValueError), issubclass(FileError, OSError)
        (True, True)
    """

    def __init__(self, message: str) -> None:
        """Keep the message; of one that a DataLoader hands on from a worker, with its traceback, the last line."""
        if message.startswith("Caught UserError in DataLoader worker"):
            message = message.strip().splitlines()[-1].partition("UserError: ")[2]
        # Names of files and keys may hold anything: a line break, half a character that cannot be printed.
        super().__init__("".join(c if c.isprintable() else repr(c)[1:-1] for c in message.strip()))


class FileError(UserError, OSError):
    """A file or folder that is missing, cannot be read, or cannot be written."""


def first_line(error: BaseException) -> str:
    """Return what an error says in one line without a full stop; of what HDF5 tells, what the system said."""
    found = _OF_HDF5.search(str(error))
    if found is not None:
        return found[1]
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (said.strip().splitlines() or [type(error).__name__])[0].strip().rstrip(".")


def first_few(names: Sequence[str]) -> str:
    """Return the first three names, and dots where there are more.

    Example:
        >>> first_few(["a", "b"]), first_few("abcd")
        ('a, b', 'a, b, c, ...')
    """
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


@contextmanager
def best_effort(what: str) -> Iterator[None]:
    """Do something that finished work must not fail over, a picture say; if it fails, warn in one line.

    Args:
        what: What could not be done, as in ``figures are not drawn``.
    """
    try:
        yield
    except (Exception, SystemExit) as error:  # fonts, codecs, services; rich exits where a pipe is broken
        with suppress(OSError, ValueError):
            print(f"Warning: {what} ({first_line(error)}).", file=sys.stderr)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Show warnings in one line, without the place in the code, and each only once."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_, **__: f"tpl: warning: {message}\n"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("once", UserWarning)
            yield
    finally:
        warnings.formatwarning = before
