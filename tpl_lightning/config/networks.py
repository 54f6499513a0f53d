"""Networks that predict warps, or embeddings of timing: their sizes and losses."""

from dataclasses import dataclass
from typing import Any, Literal

from tpl_lightning.config.check import check_limits, require


@dataclass(frozen=True)
class WarpConfig:
    """The family of time warps: continuous piecewise-affine velocity fields (CPAB)."""

    num_cells: Any = 16
    """Equal cells of [0, 1] in which the velocity is affine; a list gives those of each recurrence, [4,8,16] say."""
    recurrences: int = 1
    """How many times the aligner looks at what it has warped and warps on; the warps compose."""
    backend: Literal["torch", "difw"] = "torch"
    """What computes the warps: plain torch, or difw's C++ (CPU; compiled on first use)."""
    ends: Literal["auto", "fixed", "open"] = "auto"
    """open: a clip may miss the begin or the end of the action, or idle before or after it (direct, tpl_plus, dba,
    softdba); fixed: every clip shows all of it and nothing else; auto: open where the videos say so."""

    def __post_init__(self) -> None:
        """Check ranges."""
        levels = self.num_cells if isinstance(self.num_cells, list) else [self.num_cells]
        ok = bool(levels) and all(type(cells) is int and 2 <= cells <= 256 for cells in levels)
        require(ok, "warp.num_cells", "an integer in 2..256, or a list of them", self.num_cells)
        check_limits(self, "warp.", recurrences=(1, 16))
        if isinstance(self.num_cells, list):
            count = len(levels)
            ok = self.recurrences in (1, count)
            require(ok, "warp.recurrences", f"1 or {count}, as warp.num_cells lists {count} levels", self.recurrences)


@dataclass(frozen=True)
class ModelConfig:
    """D-MTAE: encoder, aligner, decoder. The defaults are the paper's; `method=tpl_plus` sets others."""

    aligner: Literal["inception", "path"] = "inception"
    """inception: InceptionTime on the latent; path: the expected soft-DTW path to the latent prototype, as a warp."""
    encoder: Literal["tcn", "linear"] = "tcn"
    """tcn: three dilated convolutions; linear: a matrix that starts at the identity (the principal components)."""
    latent_dim: int | None = 1
    """Channels of the latent sequence Z (the paper: 1); empty: as the embeddings have, so no bottleneck."""
    latent_norm: Literal["video", "total"] = "video"
    """video: each channel of a video's latent has mean 0 and variance 1; total: what is compared has variance 1 in
    all (aligner=path)."""
    derivative: float = 0.0
    """Share of the energy of what is compared that time derivatives have (aligner=path)."""
    projection: Literal["none", "discriminant"] = "none"
    """discriminant: noise whitened, axes weighted by the signal they hold, from the aligned latents (aligner=path)."""
    per_action: bool = False
    """Networks of its own for each action."""
    padding: Literal["zeros", "replicate"] = "zeros"
    """What the TCNs see beyond a video's ends: zeros, which tell where it ends, or its first and last frame again."""
    prototype_length: Literal["median", "longest"] = "median"
    """Frames of a prototype: the median of the action's training videos, or the longest (tpl, dtan)."""
    hidden: int = 64
    """Channels inside the TCNs."""
    kernel_size: int = 5
    """Kernel of the TCNs, in frames (odd); dilations are 1, 2, 4."""
    aligner_filters: int = 16
    """Filters per branch of an Inception module."""
    aligner_depth: int = 6
    """Inception modules, a shortcut around every third."""
    dropout: float = 0.0
    """Dropout inside the TCNs."""

    def __post_init__(self) -> None:
        """Check ranges."""
        ok = self.latent_dim is None or self.latent_dim >= 1
        require(ok, "model.latent_dim", "at least 1, or null for no bottleneck", self.latent_dim)
        require(0 <= self.derivative < 1, "model.derivative", "in [0, 1)", self.derivative)
        sees = self.aligner == "path"
        require(sees or self.derivative == 0, "model.derivative", "0 unless model.aligner=path", self.derivative)
        plain = sees or self.projection == "none"
        require(plain, "model.projection", "none unless model.aligner=path", self.projection)
        require(sees or self.latent_norm == "video", "model.latent_norm", "video unless model.aligner=path", "total")
        check_limits(self, "model.", hidden=(1, None), aligner_filters=(1, None), aligner_depth=(1, None))
        odd = self.kernel_size >= 1 and self.kernel_size % 2 == 1
        require(odd, "model.kernel_size", "odd, at least 1", self.kernel_size)
        require(0.0 <= self.dropout < 1.0, "model.dropout", "in [0, 1)", self.dropout)


@dataclass(frozen=True)
class LossConfig:
    """L_TPL = lambda_t L_ICAE + L_rec, lambda_t = 1 / (1 + exp(-alpha (t - t0)))."""

    alpha: float = 2.0
    """Steepness of the annealing, per epoch."""
    t0: float | None = None
    """Epoch at which lambda_t is 1/2; empty: half of `train.max_epochs`."""
    reconstruction: float = 1.0
    """Weight of L_rec (the paper: 1)."""
    leave_one_out: bool = False
    """Compare a video with the mean of the others of its action, not with a mean that holds it."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require(self.alpha > 0, "loss.alpha", "above 0", self.alpha)
        check_limits(self, "loss.", reconstruction=(0, None))


@dataclass(frozen=True)
class DtanConfig:
    """DTAN (`method=dtan`): InceptionTime predicts warps from the embeddings themselves; trained under `train`."""

    objective: Literal["wcss", "wcss_prior", "icae"] = "icae"
    """Variance of the aligned videos of an action, the same with a prior on the warps, or the ICAE on embeddings."""
    prior: float = 0.002
    """Weight of the smoothness prior in wcss_prior: theta^T Sigma^-1 theta against a variance of features of 1."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_limits(self, "dtan.", prior=(0, None))


@dataclass(frozen=True)
class HeadConfig:
    """Embeddings of timing learned on top of the cached ones (`method=tcc`, `method=lav`), for the direct fit."""

    channels: int = 32
    """Channels of the learned embeddings."""
    hidden: int = 64
    """Channels inside the TCN."""
    kernel_size: int = 3
    """Kernel of the TCN, in frames (odd); 1 looks at each frame alone."""
    dropout: float = 0.1
    """Dropout inside the TCN."""
    epochs: int = 150
    """Passes over the training videos."""
    lr: float = 0.001
    """Peak learning rate of AdamW; a cosine schedule takes it to 0."""
    num_frames: int = 32
    """Frames drawn from a video in each step."""
    max_pairs: int = 256
    """Most pairs of videos compared in a step."""
    temperature: float = 0.1
    """tcc: of the soft nearest neighbours, against squared distances on the unit sphere."""
    variance_weight: float = 0.001
    """tcc: weight of log sigma."""
    gamma: float = 0.1
    """lav: smoothing of soft-DTW's minimum."""
    contrast: float = 1.0
    """lav: weight of the contrastive term within each video."""
    window: float = 0.15
    """lav: share of a video within which frames are neighbours."""
    margin: float = 2.0
    """lav: squared distance that frames further apart in time are pushed to."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_limits(self, "head.", channels=(1, None), hidden=(1, None), kernel_size=(1, None), epochs=(1, None))
        check_limits(self, "head.", max_pairs=(1, None), num_frames=(2, None))
        check_limits(self, "head.", variance_weight=(0, None), contrast=(0, None))
        require(self.kernel_size % 2 == 1, "head.kernel_size", "odd", self.kernel_size)
        require(0 <= self.dropout < 1, "head.dropout", "in [0, 1)", self.dropout)
        for key in ("lr", "temperature", "gamma", "margin"):
            require(getattr(self, key) > 0, f"head.{key}", "above 0", getattr(self, key))
        require(0 < self.window < 1, "head.window", "in (0, 1)", self.window)
