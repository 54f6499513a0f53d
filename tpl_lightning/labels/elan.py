"""ELAN's annotation files (.eaf)."""

from pathlib import Path
from xml.etree import ElementTree

from tpl_lightning.errors import UserError
from tpl_lightning.files import canonical
from tpl_lightning.video import VIDEO_EXTENSIONS

__all__ = ["read_eaf"]

_TIER = "phases"


def read_eaf(path: Path) -> list[tuple[float, float, str]]:
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
        tiers: dict[str, list[tuple[float, float, str]]] = {}
        for tier in root.iter("TIER"):
            found = tiers.setdefault(tier.attrib["TIER_ID"], [])
            for item in tier.iter("ALIGNABLE_ANNOTATION"):
                start, end = (times[item.attrib[f"TIME_SLOT_REF{k}"]] + origin for k in (1, 2))
                found.append((start / 1000, end / 1000, " ".join((item.findtext("ANNOTATION_VALUE") or "").split())))
    except (ElementTree.ParseError, KeyError, ValueError, OSError) as error:
        raise UserError(
            f"{path}: not a readable ELAN file ({error!r}); mend it (data/README.md describes the layouts)."
        ) from error
    filled = {name: spans for name, spans in tiers.items() if spans}
    chosen = [name for name in filled if name.lower() == _TIER] or list(filled)
    if len(chosen) != 1:
        raise UserError(
            f"{path}: expected one tier named '{_TIER}', or one alone, but found {', '.join(filled) or 'none'}; "
            "mend it (data/README.md describes the layouts)."
        )
    return filled[chosen[0]]


def _slot_times(root: ElementTree.Element) -> dict[str, float]:
    """Return the milliseconds of each time slot."""
    names, given = [], []
    for slot in root.iter("TIME_SLOT"):
        names.append(slot.attrib["TIME_SLOT_ID"])
        given.append(float(slot.attrib["TIME_VALUE"]) if "TIME_VALUE" in slot.attrib else None)
    times: dict[str, float] = {}
    before, begin = -1, 0.0
    for place, value in enumerate(given):
        if value is None:
            continue
        for between in range(before + 1, place):
            share = (between - before) / (place - before)
            times[names[between]] = begin + (value - begin) * share
        times[names[place]], before, begin = value, place, value
    if before < len(names) - 1:
        raise ValueError(f"time slot {names[before + 1]} has no time, nor has one behind it")
    return times


def _origin(root: ElementTree.Element, path: Path) -> float:
    """Return where ELAN's clock begins, in milliseconds of the video: of that named like the file, else the first."""
    videos = []
    for media in root.iter("MEDIA_DESCRIPTOR"):
        file = Path((media.get("RELATIVE_MEDIA_URL") or media.get("MEDIA_URL") or "").replace("\\", "/"))
        if media.get("MIME_TYPE", "").startswith("video") or file.suffix[1:].lower() in VIDEO_EXTENSIONS:
            videos.append((canonical(file.stem) != canonical(path.stem), float(media.get("TIME_ORIGIN", "0"))))
    return min(videos, key=lambda video: video[0])[1] if videos else 0.0
