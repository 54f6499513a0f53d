"""Writing phases: CSV, JSON, and ELAN's .eaf. ``tpl_lightning.labels.annotations`` reads all three."""

import json
import mimetypes
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tpl_lightning.files import Outputs, unique_stems, xml_text
from tpl_lightning.sync.transfer import LabelledVideo, PhaseSpan

LABEL_COLUMNS = ("video_id", "action", *PhaseSpan._fields)
_DIGITS = {"start_s": 4, "end_s": 4, "confidence": 3}

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_EMPTY_EAF = f"""\
<ANNOTATION_DOCUMENT AUTHOR="tpl_lightning" FORMAT="3.0" VERSION="3.0" xmlns:xsi="{_XSI}"
                     xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">
    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds"/>
    <TIME_ORDER/>
    <TIER LINGUISTIC_TYPE_REF="phase" TIER_ID="phases"/>
    <TIER LINGUISTIC_TYPE_REF="confidence" PARENT_REF="phases" TIER_ID="confidence"/>
    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="phase" TIME_ALIGNABLE="true"/>
    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" CONSTRAINTS="Symbolic_Association" LINGUISTIC_TYPE_ID="confidence"
                     TIME_ALIGNABLE="false"/>
    <CONSTRAINT DESCRIPTION="1-1 association with a parent annotation" STEREOTYPE="Symbolic_Association"/>
</ANNOTATION_DOCUMENT>
"""


def label_targets(path: Path, video_ids: Sequence[str]) -> list[Path]:
    """Return the files for the phases of videos in the format that the ending names.

    Args:
        path: ``.csv``: a line per phase. ``.json``: an object per video. ``.eaf``: for ELAN, a file per video; with
            several videos a folder of that name without the ending, in which a video that is named by its action and
            file lies in a folder of the action.
        video_ids: The videos.
    """
    if path.suffix.lower() != ".eaf" or len(video_ids) == 1:
        return [path]
    parts = [video_id.rpartition("/") for video_id in video_ids]
    folders = [folder for folder in dict.fromkeys(folder for folder, _, _ in parts) if folder]
    places = {"": path.with_suffix("")}
    places |= {folder: places[""] / stem for folder, stem in zip(folders, unique_stems(folders), strict=True)}
    targets = [path] * len(parts)
    for folder, place in places.items():
        names = {i: name for i, (own, _, name) in enumerate(parts) if own == folder}
        bare = [Path(name).stem if folder else name for name in names.values()]
        stems = unique_stems(bare if len(set(bare)) == len(bare) else names.values())
        for i, stem in zip(names, stems, strict=True):
            targets[i] = place / f"{stem}.eaf"
    return targets


def write_labels(path: Path, videos: Sequence[LabelledVideo], outputs: Outputs | None = None) -> list[Path]:
    """Write the phases of videos.

    Args:
        path: See :func:`label_targets`.
        videos: The videos.
        outputs: The guard of what is written; None: one that knows no inputs.

    Returns:
        The files.
    """
    outputs = outputs or Outputs("transfer")
    if path.suffix.lower() == ".csv":
        return [outputs.write_csv(path, LABEL_COLUMNS, _rows(videos))]
    if path.suffix.lower() == ".json":
        return [outputs.write_text(path, json.dumps(_json(videos), indent=1, ensure_ascii=False) + "\n")]
    targets = label_targets(path, [video.video.video_id for video in videos])
    return [outputs.write_bytes(target, _eaf(video, target)) for target, video in zip(targets, videos, strict=True)]


def _rows(videos: Sequence[LabelledVideo]) -> Iterator[list[object]]:
    for video in videos:
        for span in video.spans:
            texts = [f"{x:.{_DIGITS[name]}f}" if name in _DIGITS else x for name, x in span._asdict().items()]
            yield [video.video.video_id, video.video.action, *texts]


def _json(videos: Sequence[LabelledVideo]) -> dict[str, Any]:
    clips = {}
    for video in videos:
        in_order = tuple(span.phase for span in video.spans) == video.names
        clips[video.video.video_id] = {
            "action": video.video.action,
            "num_frames": video.num_frames,
            "fps": round(video.fps, 4),
            # Where every phase comes once and in order, the first frames of all but the first say it all.
            "events": [span.start_frame for span in video.spans[1:]] if in_order else None,
            "segments": [
                {name: round(x, _DIGITS[name]) if name in _DIGITS else x for name, x in span._asdict().items()}
                for span in video.spans
            ],
        }
    return {"phases": {video.video.action: list(video.names) for video in videos}, "clips": clips}


def _eaf(video: LabelledVideo, target: Path) -> bytes:
    """Return an ELAN document: tier ``phases``, and below it ``confidence``, one value per phase."""
    ElementTree.register_namespace("xsi", _XSI)
    root = ElementTree.fromstring(_EMPTY_EAF)
    root.set("DATE", time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()))
    header, times, phases, confidences = root[:4]
    path, count = video.video.path, len(video.spans)
    if path is not None:
        media = {"MEDIA_URL": path.resolve().as_uri(), "MIME_TYPE": mimetypes.guess_type(path.name)[0] or "video/*"}
        relative = Path(os.path.relpath(path.resolve(), target.resolve().parent)).as_posix()
        relative = relative if relative.startswith(".") else f"./{relative}"
        ElementTree.SubElement(header, "MEDIA_DESCRIPTOR", {**media, "RELATIVE_MEDIA_URL": relative})
    ElementTree.SubElement(header, "PROPERTY", NAME="lastUsedAnnotationId").text = str(2 * count)
    for number, seconds in enumerate((at for span in video.spans for at in (span.start_s, span.end_s)), start=1):
        ElementTree.SubElement(times, "TIME_SLOT", TIME_SLOT_ID=f"ts{number}", TIME_VALUE=str(round(1000 * seconds)))
    for number, span in enumerate(video.spans, start=1):
        slots = {"TIME_SLOT_REF1": f"ts{2 * number - 1}", "TIME_SLOT_REF2": f"ts{2 * number}"}
        _annotation(phases, "ALIGNABLE_ANNOTATION", {"ANNOTATION_ID": f"a{number}", **slots}, span.phase)
        reference = {"ANNOTATION_ID": f"a{count + number}", "ANNOTATION_REF": f"a{number}"}
        _annotation(confidences, "REF_ANNOTATION", reference, f"{span.confidence:.3f}")
    ElementTree.indent(root, "    ")
    content: bytes = ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)
    return content + b"\n"


def _annotation(tier: ElementTree.Element, kind: str, attributes: dict[str, str], value: str) -> None:
    parent = ElementTree.SubElement(ElementTree.SubElement(tier, "ANNOTATION"), kind, attributes)
    ElementTree.SubElement(parent, "ANNOTATION_VALUE").text = xml_text(value)
