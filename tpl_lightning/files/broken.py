"""What is said of videos that cannot be read: the first few, how many there are, and a file that lists all."""

import warnings
from collections.abc import Sequence
from pathlib import Path

from tpl_lightning.errors import UserError
from tpl_lightning.files.outputs import Outputs

_SHOWN = 3


def report_broken(
    problems: Sequence[str],
    total: int,
    out: str | Path,
    outputs: Outputs,
    *,
    skip: bool | None,
    verb: str = "read",
    kept: str = "",
) -> None:
    """Report videos that cannot be read, or warn of them where they are left out.

    Args:
        problems: What is wrong, a line for each; may be empty.
        total: Videos in all.
        out: What the command writes; more problems than can be shown are listed in a file beside it.
        outputs: The guard of what the command writes.
        skip: Whether they are left out; None where the command cannot do so.
        verb: What they cannot be.
        kept: What is kept for a next call, in words.

    Raises:
        UserError: If they are not left out.
    """
    if not problems:
        return
    text = f"{len(problems)} of {total} videos cannot be {verb}: {' '.join(problems[:_SHOWN])}"
    if len(problems) > _SHOWN:
        listed = outputs.write_text(f"{out}.broken.txt", "".join(f"{problem}\n" for problem in problems))
        text += f" All of them are listed in {listed}."
    if skip:
        warnings.warn(f"left out: {text}", stacklevel=3)
        return
    way_out = ", or leave them out with skip_broken=true." if skip is False else "."
    raise UserError(f"{text} Mend or remove them and run the command again{kept}{way_out}")
