"""Names that people give: told apart, shown in one line, and made fit for file systems and for XML."""

import re
import unicodedata
from collections.abc import Iterable

# With an ending and a temporary name's additions a file name must stay below the 255 bytes that file systems take.
_LONGEST_STEM = 180
_UNSHOWABLE = ("Cc", "Cs", "Zl", "Zp")  # control characters, lone surrogates, line and paragraph separators
# What XML 1.0 allows; a document with anything else cannot be read.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def canonical(name: str) -> str:
    """Return a name in the form in which names are kept and compared.

    That is Unicode's NFC, as macOS stores accents apart, with ? for bytes of a file name that are no UTF-8.
    """
    return unicodedata.normalize("NFC", name.encode(errors="replace").decode())


def one_line(text: str) -> str:
    """Return text with a blank in place of every line break, control character and lone surrogate."""
    return "".join(" " if unicodedata.category(c) in _UNSHOWABLE else c for c in text)


def xml_text(text: str) -> str:
    """Return text with U+FFFD in place of what XML cannot hold."""
    return _NOT_XML.sub("\ufffd", text)


def file_stem(name: str) -> str:
    """Return a name without what file systems refuse; it never leaves its folder."""
    safe = "".join(c if c.isalnum() or c in "-_. " else "_" for c in canonical(name)).strip(". ") or "_"
    return safe.encode()[:_LONGEST_STEM].decode(errors="ignore").strip(". ") or "_"


def unique_stems(names: Iterable[str]) -> list[str]:
    """Return :func:`file_stem` of each name, with -2, -3 ... behind those that would meet an earlier one.

    Case does not tell names apart, as it does not on some file systems.
    """
    taken: set[str] = set()
    stems = []
    for name in names:
        unique = stem = file_stem(name)
        number = 1
        while unique.casefold() in taken:
            number += 1
            unique = f"{stem}-{number}"
        taken.add(unique.casefold())
        stems.append(unique)
    return stems
