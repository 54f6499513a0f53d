"""A short synchronised clip of a run, small enough for a log."""

import itertools
from pathlib import Path

from tpl_lightning.errors import UserError
from tpl_lightning.features import Progress
from tpl_lightning.runs import Run, RunVideo
from tpl_lightning.sync.clips import open_clips
from tpl_lightning.sync.clock import PROTOTYPE, make_clock
from tpl_lightning.sync.grid import Grid, elapsed
from tpl_lightning.sync.layout import plan_layout

_VIDEOS, _HEIGHT, _SECONDS, _FPS = 4, 96, 6.0, 12.0


def _chosen(videos: list[RunVideo]) -> list[RunVideo]:
    """Return some videos of the action that has most, test videos among them."""
    actions = sorted({video.action for video in videos})
    most = max(actions, key=lambda action: sum(video.action == action for video in videos))
    splits = [[v for v in videos if v.action == most and v.split == split] for split in ("test", "train", "val")]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*splits))
    return [video for video in turns if video is not None][:_VIDEOS]


def write_preview(run_dir: Path, out: Path) -> Path | None:
    """Write a clip of a few videos of one action, originals above and in step below.

    Args:
        run_dir: A finished run.
        out: The .mp4 file.

    Returns:
        The file, or None where the run's videos are not at hand.
    """
    try:
        run = Run(run_dir)
        clips = open_clips(_chosen(run.videos([])))
    except UserError:  # no clips beside the cache, or none that can be read
        return None
    clock = make_clock(run, clips[0].video.action, clips, PROTOTYPE)
    longest = max([clock.duration_s, *(clip.duration_s for clip in clips)])
    layout = plan_layout(clips, panels=2, columns=len(clips), height=_HEIGHT, width=None)
    times = elapsed(longest, _FPS, max(longest / _SECONDS, 1.0))
    with Progress("Writing the preview", len(times), enabled=False) as bar:
        Grid(run, clips, clock=clock, layout=layout, elapsed_s=times).write(out, _FPS, bar)
    return out
