"""``tpl sync``: videos in, one video in which all move in step out."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tpl_lightning.commands.arguments import ClipOptions, check_ending, run_command
from tpl_lightning.commands.clip_runs import run_of_clips
from tpl_lightning.config import check_limits
from tpl_lightning.errors import UserError
from tpl_lightning.files import Outputs, unique_stems

if TYPE_CHECKING:
    from tpl_lightning.runs import Run, RunFile
    from tpl_lightning.sync import Clip

__all__ = ["SyncOptions", "main"]

_MAX_FPS = 240.0  # slow motion of phones

_USAGE = """usage: tpl sync RUN|CLIPS [VIDEO|FOLDER ...] [key=value ...]
Resample videos onto the prototype timeline of their action and show them side by side: originals above, in step below.
Videos of the run are known by their file name; others are embedded and aligned on the spot. Without videos: all of the
run. With several actions one file each is written. Audio is dropped. Without a run the clips (a folder of one action,
or of action folders) are embedded and aligned first; that is kept below runs/ and found again while they stay the same.
example: tpl sync clips/ out=synced.mp4
         tpl sync runs/first clips/ out=synced.mp4 action=deadlift speed=0.5
"""


@dataclass(frozen=True)
class SyncOptions(ClipOptions):
    """Options of ``tpl sync``."""

    out: str = "synced.mp4"
    """the file: .mp4, .mov, .mkv, .avi or .webm"""
    originals: bool = True
    """show the originals above"""
    columns: int | None = None
    """videos side by side; empty: chosen"""
    height: int | None = None
    """of a cell in pixels; empty, as the width: as fits 1920 x 1080"""
    width: int | None = None
    """of a cell in pixels"""
    speed: float = 1.0
    """0.5 plays at half the speed"""
    fps: float | None = None
    """frames per second; empty: the videos' own"""
    reference: str = "prototype"
    """the clock: prototype, or the name of a video that plays at its own tempo"""
    separate: bool = False
    """also write each synced video as a file of its own, into a folder named like `out`, with frames.csv: which frame
    of the source each shows"""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_limits(self, columns=(1, None), height=(16, None), width=(16, None))
        check_limits(self, speed=(0.01, 100), fps=(1, 240))
        check_ending("sync", self.out, ".mp4", ".mov", ".mkv", ".avi", ".webm")


def _write_action(
    run: "Run", action: str, clips: "list[Clip]", out: Path, options: SyncOptions, outputs: Outputs
) -> list[Path]:
    """Write the grid of one action, and maybe its videos one by one."""
    import numpy as np

    from tpl_lightning.features import Progress
    from tpl_lightning.sync import Grid, counted, make_clock, plan_layout, separate_targets, write_separate
    from tpl_lightning.video import prefetched, write_video

    clock = make_clock(run, action, clips, options.reference)
    rates = sorted(clip.probe.clock.usual_fps for clip in clips)
    fps = options.fps or min(rates[len(rates) // 2], _MAX_FPS)  # one that a video has, so that it moves evenly
    longest = max(clip.duration_s for clip in clips)

    def elapsed(seconds: float) -> np.ndarray:
        # The tolerance keeps rounding from costing the last frame.
        count = int(np.floor(seconds * fps / options.speed + 1e-4)) + 1
        return np.arange(count) * options.speed / fps

    size = {"columns": options.columns, "height": options.height, "width": options.width}
    layout = plan_layout(clips, panels=1 + options.originals, **size)
    shown_s = max(longest, clock.duration_s) if options.originals else clock.duration_s
    grid = Grid(run, clips, clock=clock, layout=layout, elapsed_s=elapsed(shown_s))
    alone = elapsed(clock.duration_s)
    count = len(grid.elapsed_s) + options.separate * len(clips) * len(alone)
    with Progress(f"Writing frames of {action}", count, enabled=options.progress) as bar:
        # Drawn in a thread, a frame ahead: the encoder, which takes longest, need not wait.
        with outputs.writing(out) as part, closing(prefetched([grid.frames], ahead=1, size=1)) as drawn:
            write_video(part, counted(next(drawn), bar), fps)
        if not options.separate:
            return [out]
        targets = separate_targets(out.with_suffix(""), [clip.video.video_id for clip in clips])
        return [out, *write_separate(targets, clips, clock, alone, fps, outputs, bar)]


def _targets(options: SyncOptions, videos: Mapping[str, Sequence[str]]) -> dict[str, Path]:
    """Return the file of each action, given its videos."""
    out, actions = Path(options.out), sorted(videos)
    if len(actions) == 1:
        return {actions[0]: out}
    stems = unique_stems(actions)
    return {a: out.with_name(f"{out.stem}_{stem}{out.suffix}") for a, stem in zip(actions, stems, strict=True)}


def _guard(source: "Run", files: "Sequence[RunFile]", options: SyncOptions) -> tuple[Outputs, dict[str, Path]]:
    """Check all that is to be written before any work; return the guard, and the file of each action."""
    from tpl_lightning.sync import separate_targets

    outputs = Outputs("sync", [*(file.path for file in files), *source.cache.files])
    videos: dict[str, list[str]] = {}
    for file in files:
        videos.setdefault(file.action, []).append(file.video_id)
    targets = _targets(options, videos)
    outputs.check(targets.values())
    if options.separate:
        for action, target in targets.items():
            outputs.check(separate_targets(target.with_suffix(""), videos[action]))
    return outputs, targets


def run(folder: Path, names: list[str], options: SyncOptions) -> int:
    """Write one synced video per action."""
    from tpl_lightning.files import report_broken
    from tpl_lightning.runs import Run
    from tpl_lightning.sync import open_clips

    folder, names = run_of_clips("sync", folder, names, options)
    source = Run(folder, cache=options.cache)

    def broken(problems: Mapping[Path, str], total: int) -> None:
        report_broken(list(problems.values()), total, options.out, Outputs("sync"), skip=options.skip_broken)

    files = source.files(names, action=options.action, broken=broken)
    outputs, targets = _guard(source, files, options)
    clips = open_clips(source.open(files, broken=broken), broken=broken)
    actions = sorted({clip.video.action for clip in clips})
    if not clips:
        raise UserError("tpl sync: none of the videos can be read.")
    if options.reference != "prototype" and len(actions) > 1:
        raise UserError(f"reference={options.reference}: the videos show {len(actions)} actions; add action=NAME.")
    audio = sum(clip.probe.has_audio for clip in clips)
    if audio:
        print(f"note: audio is dropped ({audio} of {len(clips)} files have it).", file=sys.stderr)
    for action in actions:
        members = [clip for clip in clips if clip.video.action == action]
        written = _write_action(source, action, members, targets[action], options, outputs)
        folder = targets[action].with_suffix("")
        more = f", and {len(written) - 2} videos with frames.csv in {folder}" if written[1:] else ""
        print(f"{written[0]}: {len(members)} videos of {action} in step{more}")
    return 0


def main(arguments: list[str]) -> int:
    """Read the options before anything heavy is imported, then run."""
    return run_command("sync", arguments, _USAGE, SyncOptions, run)
