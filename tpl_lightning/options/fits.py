"""Fits without gradients through a network."""

from dataclasses import dataclass, field
from typing import Literal

from tpl_lightning.options.check import require

__all__ = ["DirectConfig", "DtwConfig"]


@dataclass(frozen=True)
class DirectConfig:
    """Joint alignment without a network (`method=direct`), also the refinement of other methods (`refine=true`)."""

    smoothness: float = 0.1
    """Weight of the prior: mean square slope of the velocity field against the squared distance to the prototype."""
    adapt: float = 0.05
    """Clips in step need a stronger prior: it grows where small warps show hardly any tempo. Clean features need a
    weaker one and freer levels: the last stage has what suits the warps, levels and residuals of those before, of which
    this share counts as noise, where that is freer than set. 0: neither."""
    first_smoothness: float = 0.15
    """Weight of the prior in the first fit, from which the metric is learned."""
    metric: bool = True
    """Learn a metric of features from the first fit: noise whitened, axes weighted by the signal they hold."""
    metric_channels: int = 64
    """Axes of the metric that are kept."""
    level_freedom: float = 0.4
    """How freely a video may lie at a level of its own, 0 to 1 (its mean depends on its tempo), see `adapt`."""
    derivative: float = 0.5
    """Share of the energy of the features that their time derivatives get."""
    derivative_sigma: float = 0.0125
    """Gaussian smoothing before differentiation, as a share of the video."""
    stages: list[float] = field(default_factory=lambda: [0.1, 0.05, 0.025, 0.0125])
    """Gaussian smoothing of the signals, from coarse to fine, as shares of the video."""
    paths: int = 1
    """Rounds of dynamic time warping after the first fit, to start the last one near the best of all warps; 0: none."""
    sharpen: bool = True
    """Move frames from the points of a path to where they fit best between points."""
    detail: Literal["auto", "coarse", "fine"] = "auto"
    """fine: warps of 64 cells, a weak prior and sharp signals, for long recordings of many phases; auto: where
    prototypes have 200 frames or more, of at most 400 training videos, and warps fitted so to half of the channels
    align the other half better."""
    grid: int | None = None
    """Points at which signals are compared; empty: the longest prototype, within 128..160; 512 in detail."""
    labels: float = 0.0
    """Weight of the training videos' labels in their own warps, against features of variance 1: where a phase begins
    lies at one prototype time then, if they have labels. 2 suits; new videos are aligned by features alone. 0: videos
    are aligned without labels, as in all published figures; with labels CBC is no measure of an alignment."""
    leave_one_out: bool = True
    """Compare a training video with the mean of the others, not with a mean that holds it."""
    joint_videos: int = 360
    """Videos that are aligned with one another, as many of each action, and up to 24 of each in any case; others are
    aligned with the prototypes of these."""
    max_videos: int = 1500
    """Most training videos in memory at once, spread evenly over those of each action; the others are aligned after
    the fit, so memory does not grow with the set."""
    device: str = "auto"
    """`auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1` ..."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for key in ("smoothness", "adapt", "first_smoothness", "labels"):
            require(getattr(self, key) >= 0, f"direct.{key}", "at least 0", getattr(self, key))
        require(0 <= self.level_freedom <= 1, "direct.level_freedom", "in [0, 1]", self.level_freedom)
        require(self.metric_channels >= 1, "direct.metric_channels", "at least 1", self.metric_channels)
        require(0 <= self.derivative < 1, "direct.derivative", "in [0, 1)", self.derivative)
        require(0 < self.derivative_sigma <= 1, "direct.derivative_sigma", "in (0, 1]", self.derivative_sigma)
        ok = bool(self.stages) and all(0 < sigma <= 1 for sigma in self.stages)
        require(ok, "direct.stages", "a list of numbers in (0, 1]", self.stages)
        for key in ("joint_videos", "max_videos"):
            require(getattr(self, key) >= 2, f"direct.{key}", "at least 2", getattr(self, key))
        require(self.paths >= 0, "direct.paths", "at least 0", self.paths)
        known = ("auto", "coarse", "fine")
        require(self.detail in known, "direct.detail", f"one of {', '.join(known)}", self.detail)
        require(self.grid is None or self.grid >= 32, "direct.grid", "at least 32, or null", self.grid)


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
        require(self.max_iter >= 1, "dtw.max_iter", "at least 1", self.max_iter)
