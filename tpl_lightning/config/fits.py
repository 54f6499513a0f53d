"""Fits without gradients through a network."""

from dataclasses import dataclass
from typing import Literal

from tpl_lightning.config.check import check_limits, require


@dataclass(frozen=True)
class DirectConfig:
    """Joint alignment without a network (`method=direct`), also the refinement of other methods (`refine=true`)."""

    smoothness: float = 0.1
    """Weight of the prior: mean square slope of the velocity field against the squared distance to the prototype."""
    empirical_bayes: float = 0.05
    """Clips in step need a stronger prior: it grows where small warps show hardly any tempo. Clean features need a
    weaker one: the last stage has what suits the warps and residuals of those before, of which this share counts as
    noise, where that is weaker than set. 0: neither."""
    offset_shrinkage: float = 0.4
    """Shrinkage factor of each video's random offset, 0 to 1: 0: none; 1: the whole mean of its residuals is taken for
    an offset (it depends on the tempo too)."""
    derivative: float = 0.5
    """Share of the energy of the features that their time derivatives get."""
    detail: Literal["auto", "coarse", "fine"] = "auto"
    """fine: warps of 64 cells, a weak prior and sharp signals, for long recordings of many phases; auto: where
    prototypes have 200 frames or more, of at most 400 training videos, and warps fitted so to half of the channels
    align the other half better."""
    labels: float = 0.0
    """Weight of the training videos' labels in their own warps, against features of variance 1: where a phase begins
    lies at one prototype time then, if they have labels. 2 suits; new videos are aligned by features alone. 0: videos
    are aligned without labels, as in all published figures; with labels CBC is no measure of an alignment."""
    max_videos: int = 1500
    """Most training videos that are aligned with one another, as many of each action; the others are aligned with the
    prototypes of these, so memory does not grow with the set. 360 in all, or 24 of each action, are enough."""
    device: str = "auto"
    """`auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1` ..."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_limits(self, "direct.", smoothness=(0, None), empirical_bayes=(0, None), offset_shrinkage=(0, 1))
        check_limits(self, "direct.", labels=(0, None), max_videos=(2, None))
        require(0 <= self.derivative < 1, "direct.derivative", "in [0, 1)", self.derivative)


@dataclass(frozen=True)
class DtwConfig:
    """Barycenters under dynamic time warping: `method=dba` and `method=softdba`."""

    gamma: float = 1.0
    """Smoothing of SoftDBA's minimum, against squared distances of features of variance 1; .01 is close to DBA."""
    expected_path: bool = True
    """softdba: labels follow the expected path of soft-DTW, which scores higher; false: the single best path."""
    max_iter: int = 50
    """Most updates of a barycenter."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(self.gamma > 0, "dtw.gamma", "above 0", self.gamma)
        check_limits(self, "dtw.", max_iter=(1, None))
