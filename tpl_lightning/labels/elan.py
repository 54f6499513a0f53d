"""ELAN: its annotation files (.eaf), and the text that it exports."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from tpl_lightning.files import canonical
from tpl_lightning.labels.annotations import Stretch
from tpl_lightning.labels.tables import TableRow, read_seconds, wrong_layout
from tpl_lightning.video import VIDEO_EXTENSIONS

_TIER = "phases"
_TIMES = ("ss.msec", "hh:mm:ss.ms", "msec")  # in which ELAN writes them, the most exact first
_BESIDE = ("begin_time", "end_time", "duration", "tier", "participant", "annotator", "file")  # columns of no tier

Found = tuple[str, float, float | None, str]
"""Video, start and end of a stretch in a table, and its name; an event has no end."""


def _one_tier(path: Path, names: Iterable[str]) -> str:
    """Return the name of the tier ``phases``, or of the only one.

    Raises:
        UserError: if it is not clear which is meant.
    """
    tiers = list(names)
    chosen = [name for name in tiers if name.lower() == _TIER] or tiers
    if len(chosen) != 1:
        found = ", ".join(tiers) or "none"
        raise wrong_layout(path, f"expected one tier named {_TIER!r}, or one alone, but found {found}")
    return chosen[0]


def read_eaf(path: Path) -> list[Stretch]:
    """Return start, end and value of the annotations of the tier ``phases``, or of the only one that has any.

    Convention:
        Times are seconds of the video file: ELAN's own plus TIME_ORIGIN, at which its clock begins in that file.
        Slots without a time lie evenly between those around them that have one.

    Raises:
        UserError: if it cannot be read, or it is not clear which tier is meant.
    """
    try:
        root = ElementTree.parse(path).getroot()
        unit = next((header.get("TIME_UNITS", "milliseconds") for header in root.iter("HEADER")), "milliseconds")
        if unit != "milliseconds":
            raise ValueError(f"times in {unit}, expected milliseconds")
        origin, times = _origin(root, path), _slot_times(root)
        tiers: dict[str, list[Stretch]] = {}
        for tier in root.iter("TIER"):
            found = tiers.setdefault(tier.attrib["TIER_ID"], [])
            for item in tier.iter("ALIGNABLE_ANNOTATION"):
                start, end = (times[item.attrib[f"TIME_SLOT_REF{k}"]] + origin for k in (1, 2))
                found.append((start / 1000, end / 1000, " ".join((item.findtext("ANNOTATION_VALUE") or "").split())))
    except (ElementTree.ParseError, KeyError, ValueError, OSError) as error:
        raise wrong_layout(path, f"not a readable ELAN file ({error!r})") from error
    return tiers[_one_tier(path, (name for name, spans in tiers.items() if spans))]


def _slot_times(root: ElementTree.Element) -> dict[str, float]:
    """Return the milliseconds of each time slot."""
    slots = {slot.attrib["TIME_SLOT_ID"]: slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    given = [(place, float(value)) for place, value in enumerate(slots.values()) if value is not None]
    last = given[-1][0] if given else -1
    if last < len(slots) - 1:
        raise ValueError(f"time slot {list(slots)[last + 1]} has no time, nor has one behind it")
    places, times = zip(*[(-1, 0.0), *given], strict=True)
    return dict(zip(slots, np.interp(np.arange(len(slots)), places, times).tolist(), strict=True))


def _origin(root: ElementTree.Element, path: Path) -> float:
    """Return where ELAN's clock begins, in milliseconds of the video: of that named like the file, else the first."""
    videos = []
    for media in root.iter("MEDIA_DESCRIPTOR"):
        file = Path((media.get("RELATIVE_MEDIA_URL") or media.get("MEDIA_URL") or "").replace("\\", "/"))
        if media.get("MIME_TYPE", "").startswith("video") or file.suffix[1:].lower() in VIDEO_EXTENSIONS:
            videos.append((canonical(file.stem) != canonical(path.stem), float(media.get("TIME_ORIGIN", "0"))))
    return min(videos, key=lambda video: video[0])[1] if videos else 0.0


def read_elan_table(path: Path, columns: list[str], rows: list[TableRow]) -> Iterator[Found]:
    """Read an export with a header: a column per tier, or one of the annotations and one of the tiers' names."""
    begin, end = (_most_exact(columns, name) for name in ("begin_time", "end_time"))
    value = _one_tier(path, (name for name in columns if name and not name.startswith(_BESIDE)))
    column = next((name for name in columns if name in ("tier", "tier_name")), None)
    tier = _one_tier(path, dict.fromkeys(row[column] for row in rows)) if column is not None and rows else None
    for row in rows:
        if row[value] and (column is None or row[column] == tier):  # else another tier's line
            start, stop = (row.number(path, name) / (1000 if name.endswith("_msec") else 1) for name in (begin, end))
            file = next((row[name] for name in columns if name.startswith("file") and row[name]), "")
            yield _video(file) or path.stem, start, stop, row[value]


def _most_exact(columns: list[str], begins: str) -> str:
    """Return the most exact of the columns in which a time is written."""
    found = [name for name in columns if name.startswith(begins)]
    return min(found, key=lambda name: next((k for k, end in enumerate(_TIMES) if name.endswith(f"_{end}")), 3))


def _video(file: str) -> str:
    return file.replace("\\", "/").rpartition("/")[2].removesuffix(".eaf").removesuffix(".EAF")


def is_elan_line(cells: list[str]) -> bool:
    """Tell whether a line is one of an export without header."""
    return _places(cells) is not None


def read_elan_lines(path: Path, rows: list[tuple[int, list[str]]]) -> Iterator[Found]:
    """Read an export without header: tier, participant, begin, end, duration, value, and maybe the file."""
    tier = _one_tier(path, dict.fromkeys(cells[0] for _, cells in rows))
    for line, cells in rows:
        places = _places(cells)
        if places is None:
            raise wrong_layout(path, f"expected tier, begin, end and value, but found {cells}", line)
        if cells[0] == tier:
            # Numbers without a mark are milliseconds.
            begin, end = (read_seconds(cells[k]) / (1 if set(":.,") & set(cells[k]) else 1000) for k in places[:2])
            file = _video(cells[-1]) if cells[-1].lower().endswith(".eaf") else ""
            yield file or path.stem, begin, end, cells[places[2]]


def _places(cells: list[str]) -> tuple[int, int, int] | None:
    """Return the places of begin, end and value in a line without header: tier, participant, times, value."""
    timed = [_is_time(cell) for cell in cells]
    first = next((place for place in (1, 2) if place < len(cells) and timed[place]), None)
    if first is None or False not in timed[first:]:
        return None
    after = timed.index(False, first)
    for parts in (3, 2):  # begin, end and duration, or without the latter; each in up to three units
        width, rest = divmod(after - first, parts)
        if rest == 0 and width:
            return first, first + width, after
    return None


def _is_time(cell: str) -> bool:
    try:
        return read_seconds(cell) >= 0
    except ValueError:
        return False
