"""How values out of range are refused."""

from dataclasses import dataclass

import pytest

from tpl_lightning.config.check import check_limits
from tpl_lightning.errors import UserError


@dataclass
class Options:
    speed: float | None = 1.0
    seed: int | None = None


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0, None, None), (1.0, 1.0, None), (2, None, "at least 2"), (0, 0.5, r"in 0\.\.0\.5")]
)
def test_limits_hold_both_ends(low, high, expected):
    if expected is None:
        check_limits(Options(), speed=(low, high), seed=(0, 1))
    else:
        with pytest.raises(UserError, match=f"`play.speed` to be {expected}, but got 1.0; set it with play.speed="):
            check_limits(Options(), "play.", speed=(low, high))
