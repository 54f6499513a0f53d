"""Names and options of a command, read by one dataclass; its help says each option once."""

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from tpl_lightning.commands.arguments import ClipOptions, check_ending, run_command
from tpl_lightning.commands.options import command_help, option_lines
from tpl_lightning.config import check_limits
from tpl_lightning.errors import UserError


@dataclass(frozen=True)
class Options(ClipOptions):
    """Options of a command that is made up."""

    speed: float = 1.0
    """how fast,
    in words of two lines"""
    source: str | None = field(default=None, metadata={"key": "from"})
    """where from"""

    def __post_init__(self) -> None:
        check_limits(self, speed=(0.5, 2))


def call(*arguments, seen=None):
    return run_command("try", arguments, Options, lambda *got: seen.append(got) or 0)


def test_help_has_a_line_per_option_its_own_first():
    module = SimpleNamespace(__doc__="Try.\n\nusage: tpl try\n", OPTIONS=Options)
    lines = command_help("try", module, []).splitlines()
    assert lines[:4] == [
        "usage: tpl try",
        "options (key=default):",
        "  speed=1.0              how fast, in words of two lines",
        "  from=null              where from",
    ]
    assert [line.split("=")[0].strip() for line in lines[4:6]] == ["skip_broken", "progress"]
    assert all(len(line) <= 120 for line in lines)
    assert option_lines(Options).splitlines() == lines[1:]


def test_a_command_is_given_the_run_other_names_and_options():
    seen = []
    assert call("runs/a", "b.mp4", "speed=2", "from=c", "--progress=false", seen=seen) == 0
    ((first, names, options),) = seen
    assert (first, names) == (Path("runs/a"), ["b.mp4"])
    assert (options.speed, options.source, options.progress, options.action) == (2.0, "c", False, None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "expected a run directory first, or clips"),
        (["a", "sped=1"], "unknown key `sped` \\(did you mean `speed`\\?\\)"),
        (["a", "speed=fast"], "wrong value for `speed`: expected a number"),
        (["a", "speed=3"], "Expected `speed` to be in 0.5..2, but got 3.0"),
        (["a", "--fast"], "options are written key=value"),
    ],
)
def test_what_cannot_be_is_said(arguments, said):
    with pytest.raises(UserError, match=said):
        call(*arguments)


def test_endings_are_read_in_either_case():
    check_ending("try", "a.MP4", ".mp4", ".mov")
    with pytest.raises(UserError, match=r"expected `out` to end in \.mp4 or \.mov, but got a\.txt"):
        check_ending("try", "a.txt", ".mp4", ".mov")
