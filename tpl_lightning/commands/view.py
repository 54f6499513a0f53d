"""``tpl view``: a page on which to look at a run's videos in step.

usage: tpl view RUN|CLIPS [VIDEO|FOLDER ...] [key=value ...]
Write a folder with a page that plays videos in step, with phases, warp curves and keys; any browser opens it, without a
server and without network. Without videos: all of the run. Other videos are embedded and aligned on the spot.
Without a run the clips (a folder of one action, or of action folders) are embedded and aligned first; that is kept
below runs/ and found again while they stay the same.
example: tpl view clips/
         tpl view runs/first
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tpl_lightning import runs, viewer
from tpl_lightning.commands.arguments import ClipOptions, run_command
from tpl_lightning.commands.clip_runs import open_run_clips
from tpl_lightning.config import check_limits
from tpl_lightning.files import Outputs


@dataclass(frozen=True)
class ViewOptions(ClipOptions):
    """Options of ``tpl view``."""

    out: str | None = None
    """the folder; empty: RUN/view"""
    size: int | None = None
    """longest side in pixels to shrink videos to; empty: copied as they are where browsers play them"""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_limits(self, size=(32, None))


def run(folder: Path, names: list[str], options: ViewOptions) -> int:
    """Write the page."""

    def place(source: "runs.Run") -> Path:
        return Path(options.out) if options.out else source.folder / "view"

    def check(source: "runs.Run", _: "Sequence[runs.RunFile]", outputs: Outputs) -> None:
        outputs.check_folder(place(source))

    source, clips, outputs = open_run_clips("view", folder, names, options, options.out, check)
    index = viewer.build_page(source, clips, place(source), outputs, size=options.size, progress=options.progress)
    print(f"{index}: {len(clips)} videos; open it in a browser")
    return 0


OPTIONS = ViewOptions


def main(arguments: list[str]) -> int:
    """Read the options before anything heavy is imported, then run."""
    return run_command("view", arguments, ViewOptions, run)
