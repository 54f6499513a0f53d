"""Writes the page: one folder with index.html and the videos."""

import json
import shutil
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from tpl_lightning.features import Progress
from tpl_lightning.files import Outputs, file_stem
from tpl_lightning.runs import Run
from tpl_lightning.sync import Clip, Phases, make_clock, phase_colors, phases_of_run, to_hex
from tpl_lightning.video import shrink_to, write_video

_PLAYABLE = {
    ".mp4": {"h264", "av1", "vp9"},
    ".webm": {"vp8", "vp9", "av1"},
}
_PLAYABLE_PIXELS = {"yuv420p", "yuvj420p"}
_TRANSCODED_SIDE = 720


def is_playable(clip: Clip) -> bool:
    """Tell whether the common browsers play a file as it is, up to its last frame."""
    probe, codecs = clip.probe, _PLAYABLE.get(clip.path.suffix.lower(), set())
    # FFmpeg names a decoder libdav1d or libvpx-vp9 where it uses that library.
    codec = {"libdav1d": "av1", "libvpx-vp9": "vp9", "libvpx": "vp8"}.get(probe.codec, probe.codec)
    # Beyond the length that a file states nobody can seek; recordings of browsers state none.
    is_in_reach = clip.shown.start_s + clip.shown.last_s < probe.duration_s
    return codec in codecs and probe.pixel_format in _PLAYABLE_PIXELS and not probe.is_interlaced and is_in_reach


def build_page(
    run: Run, clips: Sequence[Clip], out: Path, outputs: Outputs, *, size: int | None = None, progress: bool = False
) -> Path:
    """Write a folder that a browser opens without server or network.

    The folder appears when it is complete; an earlier page of that name is replaced.

    Args:
        run: The run.
        clips: Its videos, or others; one tab per action.
        out: The folder.
        outputs: The guard of what is written.
        size: Longest side in pixels to shrink videos to. None copies them as they are where browsers can play them.
        progress: Show progress.

    Returns:
        Path of index.html.

    Raises:
        UserError: If the folder holds something else, or cannot be written.
    """
    with (
        outputs.writing_folder(out) as part,
        Progress("Writing the page's videos", len(clips), enabled=progress) as bar,
    ):
        (part / "videos").mkdir()
        actions = sorted({clip.video.action for clip in clips})
        described = [_action(run, a, [c for c in clips if c.video.action == a], part, size, bar) for a in actions]
        (part / "index.html").write_text(_page(run, described), encoding="utf-8", errors="backslashreplace")
    return out / "index.html"


def _page(run: Run, actions: list[dict[str, Any]]) -> str:
    note = run.data_source if run.cache.is_procedural else ""
    data = json.dumps({"note": note, "actions": actions}, ensure_ascii=False, separators=(",", ":"))
    folder = files("tpl_lightning.viewer")
    css, script, page = (folder.joinpath(f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js", "html"))
    # "<" could end the script element.
    return Template(page).substitute(
        title=escape(f"{run.folder.resolve().name} in step"),
        css=css,
        data=data.replace("<", "\\u003c"),
        script=script,
    )


def _action(run: Run, action: str, clips: list[Clip], folder: Path, size: int | None, bar: Progress) -> dict[str, Any]:
    clock = make_clock(run, action, clips, "prototype")
    return {
        "name": action,
        "title": action.replace("_", " "),
        "length": clock.length,
        "duration": round(clock.duration_s, 4),
        "longest": round(max(clip.duration_s for clip in clips), 4),
        "phases": _phases(phases_of_run(run, action)),
        "videos": [_video(clip, clock.length, folder, size, bar) for clip in clips],
    }


def _phases(phases: Phases) -> list[dict[str, Any]]:
    colors = phase_colors(len(phases.names))
    return [
        {
            "label": segment.label,
            "name": phases.name(segment.label),
            "color": to_hex(colors[segment.label]),
            "start": round(segment.start, 6),
            "end": round(segment.end, 6),
        }
        for segment in phases.segments()
    ]


def _reach(grid: np.ndarray, inside: np.ndarray) -> list[float]:
    """Return the first and the last of the points that are inside; an empty stretch where none is."""
    points = grid[inside]
    return [round(float(points[0]), 6), round(float(points[-1]), 6)] if len(points) else [1.0, 0.0]


def _video(clip: Clip, length: int, folder: Path, size: int | None, bar: Progress) -> dict[str, Any]:
    """Copy or transcode a video, and describe it for the page."""
    video, probe = clip.video, clip.probe
    number = sum(1 for _ in (folder / "videos").iterdir())
    name = f"{number:03d}-{file_stem(video.video_id)}"
    copied = is_playable(clip) and (size is None or max(probe.width, probe.height) <= size)
    clock = clip.shown
    if copied:
        target = folder / "videos" / f"{name}{clip.path.suffix.lower()}"
        shutil.copyfile(clip.path, target)
    else:
        target = folder / "videos" / f"{name}.mp4"
        pictures = clip.pictures(np.arange(clock.num_frames), shrink_to(size or _TRANSCODED_SIDE))
        write_video(target, pictures, clock.usual_fps, crf=23, times_s=clock.times_s.tolist())
    bar.advance()
    grid = np.linspace(0.0, 1.0, length)
    own = video.prototype_time(clip.embedded_frame(clock.times_s))
    return {
        "id": video.video_id,
        "split": video.split,
        "src": f"videos/{target.name}",
        "width": probe.width,
        "height": probe.height,
        "fps": round(clock.usual_fps, 6),
        # Where the file's own clock has the first frame: players seek by it.
        "start": round(clock.start_s, 6) if copied else 0,
        "last": clock.num_frames - 1,
        "duration": round(clip.duration_s, 4),
        "index": np.round(clip.file_position(video.frame(grid)), 4).tolist(),
        "position": np.round(own, 5).tolist(),
        # The prototype times at which it has a frame, and the frames that face the prototype: where either ends.
        "shows": _reach(grid, video.has_frame(grid)),
        "acts": clip.file_frame(np.array(video.acting)).tolist(),
        **({} if clock.is_even else {"times": np.round(clock.times_s, 6).tolist()}),
    }
