"""Fits without gradients through a network, and the network that learns from them."""

from dataclasses import dataclass
from typing import Literal

from tpl_lightning.options.check import require

__all__ = ["DirectConfig", "DtwConfig", "MatcherConfig"]


@dataclass(frozen=True)
class DirectConfig:
    """Joint alignment without a network (`method=direct`), also the refinement of other methods (`refine=true`)."""

    smoothness: float = 0.1
    """Weight of the prior: mean square slope of the velocity field against the squared distance to the prototype."""
    adapt: float = 0.05
    """Clips in step need a stronger prior: it grows where small warps show hardly any tempo. Clean features need a
    weaker one: the last stage has what suits the warps and residuals of those before, of which this share counts as
    noise, where that is weaker than set. 0: neither."""
    level_freedom: float = 0.4
    """How freely a video may lie at a level of its own, 0 to 1 (its mean depends on its tempo)."""
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
        for key in ("smoothness", "adapt", "labels"):
            require(getattr(self, key) >= 0, f"direct.{key}", "at least 0", getattr(self, key))
        require(0 <= self.level_freedom <= 1, "direct.level_freedom", "in [0, 1]", self.level_freedom)
        require(0 <= self.derivative < 1, "direct.derivative", "in [0, 1)", self.derivative)
        require(self.max_videos >= 2, "direct.max_videos", "at least 2", self.max_videos)
        known = ("auto", "coarse", "fine")
        require(self.detail in known, "direct.detail", f"one of {', '.join(known)}", self.detail)


@dataclass(frozen=True)
class MatcherConfig:
    """The network of `method=tpl_plus`: it reads a video's warp off its distances to the prototype."""

    size: int = 32
    """Points of each timeline in the picture of distances."""
    width: int = 8
    """Channels of the 2-D convolutions."""
    depth: int = 3
    """Convolution layers."""
    epochs: int = 4
    """Epochs of training."""
    steps_per_epoch: int = 25
    """Batches of an epoch; videos are drawn at random and warped anew each time."""
    batch_size: int = 48
    """Videos per batch."""
    lr: float = 0.002
    """AdamW's learning rate at the start of its cycle; the peak is twice that."""
    strength: float = 0.4
    """Size of the random warps."""
    noise: float = 0.3
    """Most slow noise that is added to a video, against a signal of variance 1."""

    path: float = 0.8
    """Share that the warp of the best path (dynamic time warping) has in the answer of one pass, all of it for long
    recordings in detail (`direct.detail`), which the network's picture is too coarse for; 0: network alone."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for key in ("size", "width", "depth", "epochs", "steps_per_epoch", "batch_size"):
            low = 8 if key == "size" else 1
            require(getattr(self, key) >= low, f"matcher.{key}", f"at least {low}", getattr(self, key))
        require(self.lr > 0, "matcher.lr", "above 0", self.lr)
        require(self.strength >= 0, "matcher.strength", "at least 0", self.strength)
        require(0 <= self.path <= 1, "matcher.path", "in [0, 1]", self.path)
        require(self.noise >= 0, "matcher.noise", "at least 0", self.noise)


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
