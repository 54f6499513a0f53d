"""``tpl render``: clips of a figure whose true progress is known, as videos and as an embedding cache.

usage: tpl render [out=PATH.h5] [key=value ...]
       tpl render out=FOLDER recordings=COUNT [key=value ...]
Draw clips of a figure that does five gym exercises at an uneven pace, embed them with HOG, and write an embedding cache
with phases and the true progress of every frame. The same options give the same clips.
With recordings=COUNT: long recordings instead, each with 0 to 12 repetitions of the exercises, pauses and movements
that are none of them, as FOLDER/recording_000.mp4 ..., and beside each the truth in the columns of `tpl find`.
example: tpl render out=data/procedural/genai600.h5 num_clips=600 seed=1
         tpl render out=data/recordings recordings=20
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpl_lightning import data, synthetic
from tpl_lightning.commands.arguments import parse_options
from tpl_lightning.commands.embedding import check_out, writing_cache
from tpl_lightning.config import check_limits
from tpl_lightning.errors import UserError
from tpl_lightning.files import Outputs

_MOST_TRIMMED, _LONGEST_LEAD = 0.4, 2.0


@dataclass(frozen=True)
class RenderOptions:
    """Options of ``tpl render``."""

    out: str = "data/procedural/genai.h5"
    """the cache to write"""
    videos: str | None = None
    """folder for <action>/<video_id>.mp4; empty: a folder named like the cache, beside it"""
    num_clips: int = 82
    """clips in all, at least two of each action; a larger set holds the clips of a smaller one"""
    seed: int = 0
    """seed of the set"""
    tempo_strength: float = 1.0
    """how uneven the pace is; 0: even"""
    actions: list[str] | None = None
    """a list out of bench_press, deadlift, dips, pullups, pushups; empty: all"""
    trim: float = 0.0
    """most that a clip loses at each end, as a share of it: it begins late, or stops early"""
    lead: float = 0.0
    """longest that the figure waits before and after, as a share of the clip: without progress or phase; with trim too,
    each end is cut or idle by the toss of a coin"""
    size: int = 160
    """pixels along each side"""
    channels: int = 64
    """principal components of hog"""
    recordings: int = 0
    """recordings to draw into the folder `out`; no clips and no cache then"""
    num_workers: int | None = None
    """processes; empty: one per core"""
    overwrite: bool = False
    """replace a cache that is there"""
    progress: bool = True
    """show progress"""

    def __post_init__(self) -> None:
        """Check what the renderer does not check itself."""
        check_limits(self, seed=(0, None), tempo_strength=(0, None), size=(32, None), channels=(1, None))
        check_limits(self, recordings=(0, None), num_workers=(1, None))
        check_limits(self, trim=(0, _MOST_TRIMMED), lead=(0, _LONGEST_LEAD))


def _drawn(options: RenderOptions) -> dict[str, Any]:
    """Return what clips and recordings are drawn by."""
    return {
        "seed": options.seed,
        "tempo_strength": options.tempo_strength,
        "actions": synthetic.ACTIONS if options.actions is None else options.actions,
        "size": options.size,
        "num_workers": options.num_workers,
        "progress": options.progress,
    }


def _run_recordings(options: RenderOptions) -> int:
    """Draw recordings and write the truth beside them."""
    folder, count = Path(options.out), options.recordings
    if folder.suffix.lower() in {".h5", ".hdf5"} or folder.is_file():
        raise UserError(
            f"tpl render: expected `out` to be a folder for recordings={count}, but got {folder}: out=data/recordings."
        )
    Outputs("render").check(synthetic.recording_paths(folder, count))
    occurrences, frames = synthetic.build_recordings(folder, count, **_drawn(options))
    print(f"{folder}: {count} recordings, {occurrences} occurrences in {frames} frames")
    return 0


def run(options: RenderOptions) -> int:
    """Draw, embed and write."""
    if options.recordings:
        return _run_recordings(options)
    out, outputs, drawn = Path(options.out), Outputs("render"), _drawn(options)
    check_out(out, options.overwrite, outputs)
    videos = Path(options.videos) if options.videos is not None else out.with_suffix("")
    paths = synthetic.video_paths(videos, options.num_clips, seed=options.seed, actions=drawn["actions"])
    outputs.check(paths)
    clips: Any = {
        "num_clips": options.num_clips,
        "trim": options.trim,
        "lead": options.lead,
        "channels": options.channels,
    }
    with writing_cache(out, options.overwrite, outputs):
        synthetic.build_procedural_set(out, video_dir=videos, **clips, **drawn)
    cache = data.EmbeddingCache(out)
    print(f"{out}: {len(cache)} clips, {int(cache.offsets[-1])} frames, {cache.extractor}; videos in {videos}")
    return 0


OPTIONS = RenderOptions


def main(arguments: list[str]) -> int:
    """Read the options before anything heavy is imported, then run."""
    names, options = parse_options("render", arguments, RenderOptions)
    if names:
        raise UserError(f"tpl render: {names[0]}: expected key=value, as out={names[0]}.")
    return run(options)
