"""``tpl retrieve``: the matching frame of every video.

usage: tpl retrieve RUN [VIDEO|FOLDER ...] video=NAME|FILE time=SECONDS [key=value ...]
Find the frame of every video of the same action that matches one frame of one video. Writes a contact sheet (PNG) and
a table (CSV) beside it. Without videos: all of the run.
example: tpl retrieve runs/first video=jump_03 time=1.4 out=jump.png
"""

from dataclasses import dataclass
from pathlib import Path

from tpl_lightning import runs, sync
from tpl_lightning.commands.arguments import RunOptions, check_ending, run_command
from tpl_lightning.config import check_limits
from tpl_lightning.errors import UserError
from tpl_lightning.files import Outputs

_COLUMNS = ("video_id", "split", "frame", "time_s", "exact_time_s", "prototype_time", "phase", "path")


@dataclass(frozen=True)
class RetrieveOptions(RunOptions):
    """Options of ``tpl retrieve``."""

    video: str = ""
    """the video asked about: its name, or a file"""
    time: float | None = None
    """seconds from its first frame"""
    frame: int | None = None
    """or the number of the frame, from 0"""
    out: str = "retrieved.png"
    """the contact sheet"""
    columns: int | None = None
    """pictures side by side; empty: chosen"""
    height: int = 220
    """height of a picture in pixels"""

    def __post_init__(self) -> None:
        """Check ranges and that exactly one instant is given."""
        if not self.video:
            raise UserError("tpl retrieve: which video? Say video=NAME or video=FILE.")
        if (self.time is None) == (self.frame is None):
            raise UserError("tpl retrieve: which instant? Say either time=SECONDS or frame=NUMBER.")
        check_ending("retrieve", self.out, ".png")
        check_limits(self, height=(32, 2160), columns=(1, None))


def _instant(query: "sync.Clip", options: RetrieveOptions) -> float:
    """Return the embedded frame that is asked about."""
    import numpy as np

    times = query.shown.times_s
    if options.frame is not None:
        if not 0 <= options.frame < len(times):
            raise UserError(f"frame={options.frame}: {query.path} has frames 0 to {len(times) - 1}.")
        return float(query.embedded_frame(times[options.frame]))
    assert options.time is not None
    end = query.duration_s + 1 / query.shown.usual_fps
    if not 0 <= options.time <= end:
        raise UserError(f"time={options.time:g}: {query.path} lasts from 0 to {end:.2f} s.")
    return float(query.embedded_frame(np.array(options.time)))


def run(folder: Path, names: list[str], options: RetrieveOptions) -> int:
    """Look the frames up, draw and list them."""
    source = runs.Run(folder, cache=options.cache)
    files = source.files(names, action=options.action)
    own = [options.video] if Path(options.video).is_file() else []
    outputs, out = Outputs("retrieve", [*own, *(f.path for f in files), *source.cache.files]), Path(options.out)
    outputs.check([out, out.with_suffix(".csv")])
    videos = source.open(files)
    query = source.video("video", options.video, videos, action=options.action)
    if not any(video is query for video in videos):
        videos.insert(0, query)
    clips = sync.open_clips([video for video in videos if video.action == query.action])
    chosen = next(clip for clip in clips if clip.video is query)
    time, matches = sync.find_matches(clips, chosen, _instant(chosen, options))
    phases = sync.phases_of_run(source, query.action)
    phase = phases.name(int(phases.labels[phases.point(time)]))
    note = source.data_source if source.cache.is_procedural else ""
    sheet = sync.draw_sheet(matches, time, phases, columns=options.columns, height=options.height, note=note)
    outputs.write_bytes(out, sheet)
    rows = []
    for match in matches:
        video, instant = match.clip.video, (match.frame, f"{match.time_s:.4f}", f"{match.exact_s:.4f}")
        rows.append((video.video_id, video.split, *instant, f"{time:.6f}", phase, match.clip.path))
    table = outputs.write_csv(out.with_suffix(".csv"), _COLUMNS, rows)
    print(f"{out}, {table}: {len(matches)} matching frames at prototype time {time:.3f}")
    return 0


OPTIONS = RetrieveOptions


def main(arguments: list[str]) -> int:
    """Read the options before anything heavy is imported, then run."""
    return run_command("retrieve", arguments, RetrieveOptions, run)
