"""``tpl sync``: videos in, one video in which all move in step out.

usage: tpl sync RUN|CLIPS [VIDEO|FOLDER ...] [key=value ...]
Resample videos onto the prototype timeline of their action and show them side by side: originals above, in step below.
Videos of the run are known by their file name; others are embedded and aligned on the spot. Without videos: all of the
run. With several actions one file each is written. Audio is dropped. Without a run the clips (a folder of one action,
or of action folders) are embedded and aligned first; that is kept below runs/ and found again while they stay the same.
example: tpl sync clips/ out=synced.mp4
         tpl sync runs/first clips/ out=synced.mp4 action=deadlift speed=0.5
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tpl_lightning import features, runs, sync
from tpl_lightning.commands.arguments import ClipOptions, check_ending, run_command
from tpl_lightning.commands.clip_runs import open_run_clips
from tpl_lightning.config import check_limits
from tpl_lightning.errors import UserError
from tpl_lightning.files import Outputs, unique_stems

_MAX_FPS = 240.0  # slow motion of phones


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
    run: "runs.Run", action: str, clips: "list[sync.Clip]", out: Path, options: SyncOptions, outputs: Outputs
) -> int:
    """Write the grid of one action, and maybe its videos one by one; return how many of the latter."""
    clock = sync.make_clock(run, action, clips, options.reference)
    rates = sorted(clip.shown.usual_fps for clip in clips)
    fps = options.fps or min(rates[len(rates) // 2], _MAX_FPS)  # one that a video has, so that it moves evenly
    longest = max(clip.duration_s for clip in clips)
    size = {"columns": options.columns, "height": options.height, "width": options.width}
    layout = sync.plan_layout(clips, panels=1 + options.originals, **size)
    alone = sync.elapsed(clock.duration_s, fps, options.speed)
    shown = sync.elapsed(max(longest, clock.duration_s), fps, options.speed) if options.originals else alone
    grid = sync.Grid(run, clips, clock=clock, layout=layout, elapsed_s=shown)
    count = len(shown) + options.separate * len(clips) * len(alone)
    with features.Progress(f"Writing frames of {action}", count, enabled=options.progress) as bar:
        with outputs.writing(out) as part:
            grid.write(part, fps, bar)
        if options.separate:
            targets = sync.separate_targets(out.with_suffix(""), [clip.video.video_id for clip in clips])
            sync.write_separate(targets, clips, clock, alone, fps, outputs, bar)
    return options.separate * len(clips)


def _targets(out: Path, actions: Iterable[str]) -> dict[str, Path]:
    """Return the file of each action."""
    actions = sorted(set(actions))
    if len(actions) == 1:
        return {actions[0]: out}
    stems = unique_stems(actions)
    return {a: out.with_name(f"{out.stem}_{stem}{out.suffix}") for a, stem in zip(actions, stems, strict=True)}


def run(folder: Path, names: list[str], options: SyncOptions) -> int:
    """Write one synced video per action."""
    targets: dict[str, Path] = {}

    def check(_: "runs.Run", files: "Sequence[runs.RunFile]", outputs: Outputs) -> None:
        targets.update(_targets(Path(options.out), [file.action for file in files]))
        outputs.check(targets.values())
        for action, target in targets.items() if options.separate else ():
            members = [file.video_id for file in files if file.action == action]
            outputs.check(sync.separate_targets(target.with_suffix(""), members))

    source, clips, outputs = open_run_clips("sync", folder, names, options, options.out, check)
    actions = sorted({clip.video.action for clip in clips})
    if options.reference != "prototype" and len(actions) > 1:
        raise UserError(f"reference={options.reference}: the videos show {len(actions)} actions; add action=NAME.")
    for action in actions:
        target = targets[action]
        members = [clip for clip in clips if clip.video.action == action]
        alone = _write_action(source, action, members, target, options, outputs)
        more = f", and {alone} videos with frames.csv in {target.with_suffix('')}" if alone else ""
        print(f"{target}: {len(members)} videos of {action} in step{more}")
    return 0


OPTIONS = SyncOptions


def main(arguments: list[str]) -> int:
    """Read the options before anything heavy is imported, then run."""
    return run_command("sync", arguments, SyncOptions, run)
