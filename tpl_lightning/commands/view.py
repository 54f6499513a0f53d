"""``tpl view``: a page on which to look at a run's videos in step."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tpl_lightning.commands.arguments import parse_arguments
from tpl_lightning.errors import UserError, plain_warnings
from tpl_lightning.files import Outputs

__all__ = ["ViewOptions", "main"]

_USAGE = """usage: tpl view RUN [VIDEO|FOLDER ...] [key=value ...]
Write a folder with a page that plays videos in step, with phases, warp curves and keys; any browser opens it, without a
server and without network. Without videos: all of the run. Other videos are embedded and aligned on the spot.
example: tpl view runs/first
options (key=default):
  out=null      the folder; empty: RUN/view
  action=null   only this action; also what new videos show, where their folder does not say it
  size=null     longest side in pixels to shrink videos to; empty: copied as they are where browsers play them
  cache=null    the run's embedding cache, if it has moved
  skip_broken=false   leave out videos that cannot be read
  progress=true       show progress
"""


@dataclass(frozen=True)
class ViewOptions:
    """Options of ``tpl view``; the usage text says what they mean."""

    out: str | None = None
    action: str | None = None
    size: int | None = None
    cache: str | None = None
    skip_broken: bool = False
    progress: bool = True

    def __post_init__(self) -> None:
        """Check ranges."""
        if self.size is not None and self.size < 32:
            raise UserError(f"tpl view: expected `size` to be at least 32, but got {self.size}.")


def run(folder: Path, names: list[str], options: ViewOptions) -> int:
    """Write the page."""
    from tpl_lightning.files import report_broken
    from tpl_lightning.runs import Run
    from tpl_lightning.sync import open_clips
    from tpl_lightning.viewer import build_page

    source, out = Run(folder, cache=options.cache), Path(options.out) if options.out else folder / "view"
    files = source.files(names, action=options.action)
    outputs = Outputs("view", [*(file.path for file in files), *source.cache.files])
    outputs.check_folder(out)

    def broken(problems: Mapping[Path, str], total: int) -> None:
        report_broken(list(problems.values()), total, out, outputs, skip=options.skip_broken)

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
    if set(arguments) & {"-h", "--help"}:
        print(_USAGE, end="")
        return 0
    with plain_warnings():
        return run(*parse_arguments("view", arguments, ViewOptions))
