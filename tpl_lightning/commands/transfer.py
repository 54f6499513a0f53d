"""``tpl transfer``: carry phase labels from the prototype, or from one labelled video, to videos; or progress.

usage: tpl transfer RUN [VIDEO|FOLDER ...] [key=value ...]
Write the phases of videos with their times and a confidence each: the share of the labelled videos' votes that the
label has on the prototype timeline. Without videos: all of the run (their files are not needed).
example: tpl transfer runs/first clips/ out=labels.csv
         tpl transfer runs/first clips/ labels=mine.eaf from=clips/jump_03.mp4      label one video, get all
         tpl transfer runs/first what=progress out=progress.parquet
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tpl_lightning import labels, runs, sync
from tpl_lightning.commands.arguments import RunOptions, check_ending, run_command
from tpl_lightning.errors import UserError
from tpl_lightning.files import Outputs, canonical

_ENDINGS = {"labels": (".csv", ".json", ".eaf"), "progress": (".csv", ".parquet")}


@dataclass(frozen=True)
class TransferOptions(RunOptions):
    """Options of ``tpl transfer``."""

    what: Literal["labels", "progress"] = "labels"
    """labels, or progress: a row per frame with video, frame, time_s, progress in 0..1 and action"""
    out: str | None = None
    """.csv, .json, or .eaf for ELAN (of several videos: a folder with a file each); of progress .csv or .parquet;
    empty: labels.csv or progress.csv"""
    labels: str | None = None
    """labels to carry instead of those in the run's cache: .csv, .json or .eaf (data/README.md)"""
    source: str | None = field(default=None, metadata={"key": "from"})  # `from` is a word of the language
    """the video whose labels these are, name or file; empty: all that the labels name vote"""

    def __post_init__(self) -> None:
        """Check endings and that options go together."""
        if self.out is not None:
            check_ending(f"transfer what={self.what}", self.out, *_ENDINGS[self.what])
        if self.what == "progress" and (self.labels is not None or self.source is not None):
            raise UserError("tpl transfer: what=progress needs no labels; leave `labels` and `from` out.")
        if self.source is not None and self.labels is None:
            raise UserError("tpl transfer: from=VIDEO says whose labels=FILE are; give both.")


def _label_files(options: TransferOptions) -> list[Path]:
    """Return the files that labels=, and the video that from= names."""
    labels = Path(options.labels) if options.labels else None
    found = [] if labels is None else [path for path in [labels, *labels.rglob("*.eaf")] if path.is_file()]
    return found + ([Path(options.source)] if options.source and Path(options.source).is_file() else [])


def _phases(run: "runs.Run", videos: "list[runs.RunVideo]", options: TransferOptions) -> "dict[str, sync.Phases]":
    """Return the labels of each action's prototype."""
    actions = sorted({video.action for video in videos})
    if options.labels is None:
        found = {action: sync.phases_of_run(run, action) for action in actions}
        bare = [action for action, phases in found.items() if not phases.known]
        if bare:
            raise UserError(
                f"{run.cache.path}: no labels of action {bare[0]!r}; label one video and give labels=FILE from=VIDEO."
            )
        return found

    known = {canonical(video.video_id): video for action in run.actions for video in run.known_videos(action)}
    known |= {canonical(video.video_id): video for video in videos}
    only = None
    if options.source is not None:
        only = run.video("from", options.source, list(known.values()), action=options.action)
    return sync.phases_of_annotations(run, labels.read_annotations(options.labels), list(known.values()), only=only)


def _write_progress(out: Path, videos: "Callable[[], list[runs.RunVideo]]", outputs: Outputs) -> int:
    sync.check_progress_target(out)
    outputs.check([out])
    found = videos()
    count = sync.write_progress(out, found, outputs)
    print(f"{out}: progress of {count} frames of {len(found)} videos")
    return 0


def run(folder: Path, names: list[str], options: TransferOptions) -> int:
    """Carry the labels and write them."""
    source = runs.Run(folder, cache=options.cache)
    chosen: Any = source.actions if options.action in (None, runs.AUTO) else [options.action]
    known = [] if names else [video for action in chosen for video in source.known_videos(action)]
    files = source.files(names, action=options.action) if names else []
    read = [*(file.path for file in files), *source.cache.files, *_label_files(options)]
    outputs, out = Outputs("transfer", read), Path(options.out or f"{options.what}.csv")
    if options.what == "progress":
        return _write_progress(out, lambda: source.open(files) if names else known, outputs)
    outputs.check(sync.label_targets(out, [*(video.video_id for video in known), *(file.video_id for file in files)]))
    videos = source.open(files) if names else known
    phases = _phases(source, videos, options)
    labelled = [sync.carry_labels(video, phases[video.action]) for video in videos if video.action in phases]
    if not labelled:
        raise UserError(f"{options.labels}: labels of {', '.join(phases)}, but the videos show other actions.")
    written = sync.write_labels(out, labelled, outputs)
    spans = [span for video in labelled for span in video.spans]
    where = str(written[0]) if len(written) == 1 else f"{out.with_suffix('')} ({len(written)} files)"
    sure = sum(span.confidence for span in spans) / max(len(spans), 1)
    left = f"; {len(videos) - len(labelled)} of other actions left out" if len(labelled) < len(videos) else ""
    print(f"{where}: {len(spans)} phases of {len(labelled)} videos, mean confidence {sure:.2f}{left}")
    return 0


OPTIONS = TransferOptions


def main(arguments: list[str]) -> int:
    """Read the options before anything heavy is imported, then run."""
    return run_command("transfer", arguments, TransferOptions, run)
