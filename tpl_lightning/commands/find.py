"""``tpl find``: every occurrence of a run's actions in long recordings.

usage: tpl find RUN RECORDING... [key=value ...]
Find every occurrence of the run's actions in long recordings, repetitions one by one: a table (CSV) with the columns
start_s, end_s, action, score, phase_starts_s, and a picture of the timeline (PNG) beside it. A recording is a video, or
a video of an embedding cache; of several, `out` is a folder with a table each. A score of 1 is a perfect match, and .5
the worst that is taken for the action.
example: tpl find runs/first long.mp4 out=found.csv clips=found/
         tpl sync runs/first found/ out=synced.mp4
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from tpl_lightning import features, labels, runs, sync
from tpl_lightning.commands.arguments import RunOptions, check_ending, run_command
from tpl_lightning.errors import UserError
from tpl_lightning.files import Outputs


@dataclass(frozen=True)
class FindOptions(RunOptions):
    """Options of ``tpl find``."""

    out: str = "found.csv"
    """the table; of several recordings, the folder of that name without its ending"""
    clips: str | None = None
    """folder for what is found as clips, <action>/<recording>_<number>.mp4"""
    action: str | None = None
    """only this action"""
    progress: bool = True
    """show progress"""

    def __post_init__(self) -> None:
        """Check the ending."""
        check_ending("find", self.out, ".csv")


def _targets(recordings: "list[sync.Recording]", out: Path) -> list[Path]:
    """Return the table of each recording."""
    if len(recordings) == 1:
        return [out]
    return [out.with_suffix("") / f"{recording.name}.csv" for recording in recordings]


def _check(
    source: "runs.Run", recordings: "list[sync.Recording]", targets: list[Path], options: FindOptions
) -> Outputs:
    """Refuse what cannot be done before any work; return the guard of what is written."""
    if options.action is not None:
        source.check_action(options.action)
    outputs = Outputs("find", [*(recording.path for recording in recordings), *source.cache.files])
    outputs.check([path for target in targets for path in (target, target.with_suffix(".png"))])
    if options.clips is not None:
        bare = [recording for recording in recordings if recording.row is not None]
        if bare:
            raise UserError(f"clips={options.clips}: {bare[0].path} is a cache, and clips are cut out of video files.")
        outputs.check_folder(Path(options.clips))
    return outputs


def run(folder: Path, names: list[str], options: FindOptions) -> int:
    """Search, and write what is found."""
    if not names:
        raise UserError("tpl find: expected a recording: tpl find RUN long.mp4.")
    source, recordings = runs.Run(folder, cache=options.cache), sync.find_recordings(names)
    targets = _targets(recordings, Path(options.out))
    outputs = _check(source, recordings, targets, options)
    every: list[list[labels.Occurrence]] = []
    for recording, target in zip(recordings, targets, strict=True):
        frames = recording.num_frames()
        with features.Progress(f"Searching {recording.name}", 2 * frames, enabled=options.progress) as bar:
            found, clock = sync.find_occurrences(source, recording, action=options.action, advance=bar.advance)
        every.append(found)
        end = clock.last_s + 1 / clock.usual_fps
        counts = ", ".join(f"{count} {name}" for name, count in sorted(Counter(one.action for one in found).items()))
        said = f"{recording.name}: {counts or 'none of the actions'} in {end:.1f} s"
        labels.write_occurrences(target, found, outputs)
        shown = source.actions if options.action is None else [options.action]
        outputs.write_bytes(target.with_suffix(".png"), sync.draw_timeline(found, shown, end, title=said))
        print(f"{target}, {target.with_suffix('.png')}: {said}")
    if options.clips is not None:
        _write_clips(recordings, every, Path(options.clips), outputs, progress=options.progress)
    return 0


def _write_clips(
    recordings: "list[sync.Recording]",
    every: "list[list[labels.Occurrence]]",
    folder: Path,
    outputs: Outputs,
    *,
    progress: bool,
) -> None:
    """Write all that was found as clips, in place of those of an earlier call."""
    count = sum(map(len, every))
    if count == 0:
        print(f"{folder}: not written, as nothing was found")
        return
    with outputs.writing_folder(folder) as part, features.Progress("Writing clips", count, enabled=progress) as bar:
        for recording, found in zip(recordings, every, strict=True):
            sync.write_segments(recording, found, part, bar.advance)
    print(f"{folder}: {count} clips")


OPTIONS = FindOptions


def main(arguments: list[str]) -> int:
    """Read the options before anything heavy is imported, then run."""
    return run_command("find", arguments, FindOptions, run)
