"""``tpl view``: a page on which to look at a run's videos in step."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tpl_lightning.commands.arguments import ClipOptions, run_command
from tpl_lightning.commands.clip_runs import run_of_clips
from tpl_lightning.config import check_limits
from tpl_lightning.errors import UserError
from tpl_lightning.files import Outputs

__all__ = ["ViewOptions", "main"]

_USAGE = """usage: tpl view RUN|CLIPS [VIDEO|FOLDER ...] [key=value ...]
Write a folder with a page that plays videos in step, with phases, warp curves and keys; any browser opens it, without a
server and without network. Without videos: all of the run. Other videos are embedded and aligned on the spot.
Without a run the clips (a folder of one action, or of action folders) are embedded and aligned first; that is kept
below runs/ and found again while they stay the same.
example: tpl view clips/
         tpl view runs/first
"""


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
    from tpl_lightning.files import report_broken
    from tpl_lightning.runs import Run
    from tpl_lightning.sync import open_clips
    from tpl_lightning.viewer import build_page

    folder, names = run_of_clips("view", folder, names, options)
    source, out = Run(folder, cache=options.cache), Path(options.out) if options.out else folder / "view"

    def broken(problems: Mapping[Path, str], total: int) -> None:
        report_broken(list(problems.values()), total, out, Outputs("view"), skip=options.skip_broken)

    files = source.files(names, action=options.action, broken=broken)
    outputs = Outputs("view", [*(file.path for file in files), *source.cache.files])
    outputs.check_folder(out)
    clips = open_clips(source.open(files, broken=broken), broken=broken)
    if not clips:
        raise UserError("tpl view: none of the videos can be read.")
    audio = sum(clip.probe.has_audio for clip in clips)
    if audio:
        print(f"note: the page is silent ({audio} of {len(clips)} files have audio).", file=sys.stderr)
    index = build_page(source, clips, out, outputs, size=options.size, progress=options.progress)
    print(f"{index}: {len(clips)} videos; open it in a browser")
    return 0


def main(arguments: list[str]) -> int:
    """Read the options before anything heavy is imported, then run."""
    return run_command("view", arguments, _USAGE, ViewOptions, run)
