"""Every option of the framework: one tree of frozen dataclasses, and how it is filled.

Order of precedence: the defaults below < YAML files from left to right < ``key=value`` arguments.
This module imports neither torch nor anything else of the package but the error class, so that a wrong
key is reported at once.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from tpl_lightning.errors import UserError

__all__ = [
    "BenchConfig",
    "Config",
    "DataConfig",
    "DirectConfig",
    "DtanConfig",
    "DtwConfig",
    "HeadConfig",
    "LossConfig",
    "MatcherConfig",
    "ModelConfig",
    "RunConfig",
    "TrainConfig",
    "WarpConfig",
    "config_to_dict",
    "load_config",
    "save_config",
]

Method = Literal["linear", "pad", "dba", "softdba", "dtan", "tpl", "direct", "tpl_plus", "tcc", "lav"]


def _require(condition: bool, key: str, expected: str, found: object) -> None:
    if not condition:
        raise UserError(f"Expected `{key}` to be {expected}, but got {found!r}; set it with {key}=VALUE.")


@dataclass(frozen=True)
class DataConfig:
    """Which videos are read, and what is done to their embeddings before a model sees them."""

    dataset: str = "genai"
    """Name of the data set; without `data.cache` its cache or videos are looked for under `data.root`."""
    root: str = "data"
    """Folder that holds the user's caches and videos, and what is rendered where there are none."""
    cache: str | None = None
    """Embedding cache (HDF5) to read; empty: found or made under `data.root`."""
    actions: list[str] | None = None
    """Only these actions; empty: all."""
    folds: int = 0
    """0: the split stored in the cache. K >= 2: K folds within each action, rotated by `data.fold`."""
    fold: int = 0
    """The fold, 0 to `data.folds` - 1, whose videos are the test split."""
    batch_size: int = 64
    """Videos per batch and device."""
    num_workers: int = 0
    """Threads that read ahead; 0: a batch is read when it is needed."""
    center: bool = True
    """Remove each video's mean embedding (what a clip looks like, not when)."""
    scale: Literal["set", "video", "none"] = "set"
    """Bring the total variance to 1 over the training set, or in each video, or leave it."""
    pca: int | None = 64
    """Principal components kept, fitted on the training split; empty: all channels as they are."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(self.folds == 0 or self.folds >= 2, "data.folds", "0 or at least 2", self.folds)
        _require(
            self.fold == 0 or 0 <= self.fold < self.folds,
            "data.fold",
            f"in 0..{max(self.folds - 1, 0)} (data.folds={self.folds})",
            self.fold,
        )
        _require(self.batch_size >= 1, "data.batch_size", "at least 1", self.batch_size)
        _require(self.num_workers >= 0, "data.num_workers", "at least 0", self.num_workers)
        _require(self.pca is None or self.pca >= 1, "data.pca", "at least 1, or null for all channels", self.pca)
        _require(self.actions is None or len(self.actions) > 0, "data.actions", "a list of names, or null", [])


@dataclass(frozen=True)
class WarpConfig:
    """The family of time warps: continuous piecewise-affine velocity fields (CPAB)."""

    num_cells: Any = 16
    """Equal cells of [0, 1] in which the velocity is affine; a list gives those of each recurrence, [4,8,16] say."""
    recurrences: int = 1
    """How many times the aligner looks at what it has warped and warps on; the warps compose."""
    backend: Literal["torch", "difw"] = "torch"
    """What computes the warps: plain torch, or difw's C++ (CPU; compiled on first use)."""

    def __post_init__(self) -> None:
        """Check ranges."""
        levels = self.num_cells if isinstance(self.num_cells, list) else [self.num_cells]
        ok = bool(levels) and all(type(cells) is int and 2 <= cells <= 256 for cells in levels)
        _require(ok, "warp.num_cells", "an integer in 2..256, or a list of them", self.num_cells)
        _require(1 <= self.recurrences <= 16, "warp.recurrences", "in 1..16", self.recurrences)
        if isinstance(self.num_cells, list):
            count = len(levels)
            ok = self.recurrences in (1, count)
            _require(ok, "warp.recurrences", f"1 or {count}, as warp.num_cells lists {count} levels", self.recurrences)


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of D-MTAE: TCN encoder, InceptionTime aligner, TCN decoder."""

    latent_dim: int | None = 1
    """Channels of the latent sequence Z (the paper: 1); empty: as many as the embeddings have, so no bottleneck."""
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
        _require(ok, "model.latent_dim", "at least 1, or null for no bottleneck", self.latent_dim)
        _require(self.hidden >= 1, "model.hidden", "at least 1", self.hidden)
        _require(
            self.kernel_size >= 1 and self.kernel_size % 2 == 1,
            "model.kernel_size",
            "odd, at least 1",
            self.kernel_size,
        )
        _require(self.aligner_filters >= 1, "model.aligner_filters", "at least 1", self.aligner_filters)
        _require(self.aligner_depth >= 1, "model.aligner_depth", "at least 1", self.aligner_depth)
        _require(0.0 <= self.dropout < 1.0, "model.dropout", "in [0, 1)", self.dropout)


@dataclass(frozen=True)
class LossConfig:
    """L_TPL = lambda_t L_ICAE + L_rec, lambda_t = 1 / (1 + exp(-alpha (t - t0)))."""

    alpha: float = 2.0
    """Steepness of the annealing, per epoch."""
    t0: float | None = None
    """Epoch at which lambda_t is 1/2; empty: half of `train.max_epochs`."""
    reconstruction: float = 1.0
    """Weight of L_rec (the paper: 1)."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(self.alpha > 0, "loss.alpha", "above 0", self.alpha)
        _require(self.reconstruction >= 0, "loss.reconstruction", "at least 0", self.reconstruction)


@dataclass(frozen=True)
class DirectConfig:
    """Joint alignment without a network (`method=direct`), also the refinement of other methods (`refine=true`)."""

    smoothness: float = 0.1
    """Weight of the prior: mean square slope of the velocity field against the squared distance to the prototype."""
    adapt: float = 0.05
    """Clean features need a weaker prior and freer levels: the last fit is repeated with what suits the warps, levels
    and residuals that it found, of which this share counts as noise, where that is freer than set. 0: never."""
    first_smoothness: float = 0.3
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
    detail: Literal["auto", "coarse", "fine"] = "auto"
    """fine: warps of 64 cells, a weak prior and sharp signals, for long recordings of many phases; auto: where
    prototypes of 200 frames or more, of at most 200 training videos, score better so, without labels."""
    grid: int | None = None
    """Points at which signals are compared; empty: the longest prototype, within 128..192; 512 in detail."""
    leave_one_out: bool = True
    """Compare a training video with the mean of the others, not with a mean that holds it."""
    joint_videos: int = 24
    """Most videos of an action that are aligned with one another, spread evenly over it; the others are aligned with
    the prototypes of these. More bring no better warps, but take longer."""
    max_videos: int = 1500
    """Most training videos in memory at once, spread evenly over those of each action; the others are aligned after
    the fit, so memory does not grow with the set."""
    device: str = "auto"
    """`auto` (a GPU where there is one), `cpu`, `cuda`, `cuda:1` ..."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for key in ("smoothness", "adapt", "first_smoothness"):
            _require(getattr(self, key) >= 0, f"direct.{key}", "at least 0", getattr(self, key))
        _require(0 <= self.level_freedom <= 1, "direct.level_freedom", "in [0, 1]", self.level_freedom)
        _require(self.metric_channels >= 1, "direct.metric_channels", "at least 1", self.metric_channels)
        _require(0 <= self.derivative < 1, "direct.derivative", "in [0, 1)", self.derivative)
        _require(0 < self.derivative_sigma <= 1, "direct.derivative_sigma", "in (0, 1]", self.derivative_sigma)
        ok = bool(self.stages) and all(0 < sigma <= 1 for sigma in self.stages)
        _require(ok, "direct.stages", "a list of numbers in (0, 1]", self.stages)
        for key in ("joint_videos", "max_videos"):
            _require(getattr(self, key) >= 2, f"direct.{key}", "at least 2", getattr(self, key))
        _require(self.paths >= 0, "direct.paths", "at least 0", self.paths)
        known = ("auto", "coarse", "fine")
        _require(self.detail in known, "direct.detail", f"one of {', '.join(known)}", self.detail)
        _require(self.grid is None or self.grid >= 32, "direct.grid", "at least 32, or null", self.grid)


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
        _require(self.gamma > 0, "dtw.gamma", "above 0", self.gamma)
        _require(self.max_iter >= 1, "dtw.max_iter", "at least 1", self.max_iter)


@dataclass(frozen=True)
class DtanConfig:
    """DTAN (`method=dtan`): InceptionTime predicts warps from the embeddings themselves; trained under `train`."""

    objective: Literal["wcss", "wcss_prior", "icae"] = "icae"
    """Variance of the aligned videos of an action, the same with a prior on the warps, or the ICAE on embeddings."""
    prior: float = 0.002
    """Weight of the smoothness prior in wcss_prior: theta^T Sigma^-1 theta against a variance of features of 1."""

    def __post_init__(self) -> None:
        """Check ranges."""
        known = ("wcss", "wcss_prior", "icae")
        _require(self.objective in known, "dtan.objective", f"one of {', '.join(known)}", self.objective)
        _require(self.prior >= 0, "dtan.prior", "at least 0", self.prior)


@dataclass(frozen=True)
class MatcherConfig:
    """The network of `method=tpl_plus`: it reads a video's warp off its distances to the prototype."""

    size: int = 32
    """Points of each timeline in the picture of distances."""
    width: int = 8
    """Channels of the 2-D convolutions."""
    depth: int = 3
    """Convolution layers."""
    epochs: int = 8
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

    path: float = 0.67
    """Share that the warp of the best path (dynamic time warping) has in the answer of one pass; 0: network alone."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for key in ("size", "width", "depth", "epochs", "steps_per_epoch", "batch_size"):
            low = 8 if key == "size" else 1
            _require(getattr(self, key) >= low, f"matcher.{key}", f"at least {low}", getattr(self, key))
        _require(self.lr > 0, "matcher.lr", "above 0", self.lr)
        _require(self.strength >= 0, "matcher.strength", "at least 0", self.strength)
        _require(0 <= self.path <= 1, "matcher.path", "in [0, 1]", self.path)
        _require(self.noise >= 0, "matcher.noise", "at least 0", self.noise)


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
        for key in ("channels", "hidden", "kernel_size", "epochs", "max_pairs"):
            _require(getattr(self, key) >= 1, f"head.{key}", "at least 1", getattr(self, key))
        _require(self.kernel_size % 2 == 1, "head.kernel_size", "odd", self.kernel_size)
        _require(self.num_frames >= 2, "head.num_frames", "at least 2", self.num_frames)
        _require(0 <= self.dropout < 1, "head.dropout", "in [0, 1)", self.dropout)
        for key in ("lr", "temperature", "gamma", "margin"):
            _require(getattr(self, key) > 0, f"head.{key}", "above 0", getattr(self, key))
        for key in ("variance_weight", "contrast"):
            _require(getattr(self, key) >= 0, f"head.{key}", "at least 0", getattr(self, key))
        _require(0 < self.window < 1, "head.window", "in (0, 1)", self.window)


@dataclass(frozen=True)
class TrainConfig:
    """Optimisation."""

    max_epochs: int = 300
    """Passes over the training videos; with few videos an epoch is one step."""
    lr: float = 1e-3
    """Peak learning rate of AdamW; a cosine schedule takes it to 0."""
    weight_decay: float = 1e-4
    """Weight decay of AdamW."""
    clip: float = 1.0
    """Largest norm of the gradient; 0: not clipped."""
    val_every: int = 25
    """Epochs between validations."""
    compile: bool = False
    """Compile the network with torch.compile: slow to start, for long trainings on GPUs. A CPU is no faster so."""

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(self.max_epochs >= 1, "train.max_epochs", "at least 1", self.max_epochs)
        _require(self.lr > 0, "train.lr", "above 0", self.lr)
        _require(self.weight_decay >= 0, "train.weight_decay", "at least 0", self.weight_decay)
        _require(self.clip >= 0, "train.clip", "at least 0", self.clip)
        _require(self.val_every >= 1, "train.val_every", "at least 1", self.val_every)


@dataclass(frozen=True)
class RunConfig:
    """Where results go."""

    name: str | None = None
    """Folder under `run.dir`; empty: data set, method, seed and time."""
    dir: str = "runs"
    """Folder of all runs."""
    figures: bool = True
    """Draw the figures."""
    progress: bool = True
    """Show progress bars."""
    wandb: Literal["auto", "online", "offline", "disabled"] = "auto"
    """Mirror the run to Weights & Biases; auto: online where a login is found, else offline; WANDB_MODE counts."""
    project: str | None = None
    """W&B project; empty: WANDB_PROJECT, else tpl_lightning."""
    group: str | None = None
    """W&B group; empty: data set and method, so that folds and seeds lie together."""
    tags: list[str] = field(default_factory=list)
    """Further W&B tags; data set, method, extractor, fold and seed are always there."""

    def __post_init__(self) -> None:
        """Check that the name is one folder."""
        known = ("auto", "online", "offline", "disabled")
        _require(self.wandb in known, "run.wandb", f"one of {', '.join(known)}", self.wandb)
        bad = [tag for tag in self.tags if not 1 <= len(tag) <= 64]
        _require(not bad, "run.tags", "a list of names of 1 to 64 letters", bad)
        ok = self.name is None or (self.name not in {"", ".", ".."} and Path(self.name).name == self.name)
        _require(ok, "run.name", "a plain folder name without slashes", self.name)


@dataclass(frozen=True)
class BenchConfig:
    """What `tpl bench` runs."""

    methods: list[str] = field(
        default_factory=lambda: [
            "linear",
            "pad",
            "dba",
            "softdba:0.01",
            "softdba:0.1",
            "softdba:1",
            "dtan:wcss",
            "dtan:wcss_prior",
            "dtan:icae",
            "tpl",
            "tcc",
            "lav",
            "direct",
            "tpl_plus",
        ]
    )
    """Rows of the table; `softdba:GAMMA`, `dtan:OBJECTIVE`, `METHOD+refined` (by the direct fit), or a YAML file."""
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    """Seeds of the methods that draw random numbers."""
    minutes: float = 30.0
    """Time that one fit may take; a row that runs out of it says so."""

    def __post_init__(self) -> None:
        """Check ranges and names."""
        for name in self.methods:
            known = name.endswith((".yaml", ".yml")) or name.removesuffix("+refined").split(":")[0] in get_args(Method)
            _require(known, "bench.methods", f"a list of {', '.join(get_args(Method))}, or YAML files", name)
        _require(len(self.seeds) > 0, "bench.seeds", "a list of numbers", self.seeds)
        _require(self.minutes > 0, "bench.minutes", "above 0", self.minutes)


@dataclass(frozen=True)
class Config:
    """All options."""

    method: Method = "tpl"
    """The aligner."""
    refine: bool | None = None
    """Refine the warps of `method` by the direct fit, from where they are; empty: yes for tpl_plus, no for others."""
    seed: int = 0
    """Seeds every random number; the same seed gives the same bits on a CPU."""
    data: DataConfig = field(default_factory=DataConfig)
    warp: WarpConfig = field(default_factory=WarpConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    dtw: DtwConfig = field(default_factory=DtwConfig)
    dtan: DtanConfig = field(default_factory=DtanConfig)
    direct: DirectConfig = field(default_factory=DirectConfig)
    matcher: MatcherConfig = field(default_factory=MatcherConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    trainer: dict[str, Any] = field(default_factory=dict)
    """Further options of lightning.Trainer, by Lightning's names (`trainer.devices=2`)."""
    run: RunConfig = field(default_factory=RunConfig)
    bench: BenchConfig = field(default_factory=BenchConfig)
    resume: str | None = None
    """A run to go on with, as runs/NAME; all other options are those of that run."""

    @property
    def refines(self) -> bool:
        """Tell whether warps are refined."""
        return self.method == "tpl_plus" if self.refine is None else self.refine

    def __post_init__(self) -> None:
        """Check ranges."""
        _require(0 <= self.seed < 2**32, "seed", "in 0..2**32-1", self.seed)
        _require(self.method in get_args(Method), "method", f"one of {', '.join(get_args(Method))}", self.method)


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _load_yaml(path: Path) -> Any:
    from omegaconf import DictConfig, OmegaConf

    if not path.is_file():
        raise UserError(f"{path}: no such configuration file; give an existing YAML, or key=value arguments.")
    try:
        loaded = OmegaConf.load(path)
    except Exception as error:  # yaml raises several unrelated classes
        raise UserError(f"{path}: not a readable YAML file ({_one_line(error)}); mend it.") from error
    if not isinstance(loaded, DictConfig):
        raise UserError(f"{path}: expected `key: value` lines at the top level, but got a list; mend it.")
    return loaded


def _merge(base: Any, update: Any, origin: str) -> Any:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        return OmegaConf.merge(base, update)
    except (OmegaConfBaseException, ValueError, TypeError) as error:
        key = getattr(error, "full_key", None) or getattr(error, "key", None) or "?"
        message = _one_line(error)
        if "not in" in message:
            message = f"unknown key `{key}`; `tpl fit --help` lists the keys"
        elif "Cannot merge DictConfig" in message or "not in enum" in message:
            message = f"wrong value for `{key}` ({message})"
        else:
            message = f"wrong value for `{key}`: {message}"
        raise UserError(f"{origin}: {message}.") from error


def load_config(arguments: Sequence[str] = (), *, defaults: dict[str, Any] | None = None) -> Config:
    """Build the configuration from YAML files and ``key=value`` arguments, later ones winning.

    Args:
        arguments: Paths of YAML files and ``key=value`` strings in any order.
        defaults: A nested dictionary that is laid over the dataclass defaults first (a checkpoint's
            configuration, say).

    Returns:
        The checked configuration.

    Raises:
        UserError: If a file is missing, a key unknown, or a value of the wrong type or out of range.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    tree = OmegaConf.structured(Config)
    if defaults:
        tree = _merge(tree, OmegaConf.create(defaults), "stored configuration")
    # Files first, whatever the order on the line: an argument is always meant to win over a file.
    for argument in arguments:
        if "=" not in argument:
            if argument.startswith("-"):
                raise UserError(f"{argument}: unknown flag; options are written key=value, without hyphens.")
            tree = _merge(tree, _load_yaml(Path(argument)), argument)
    for argument in arguments:
        if "=" in argument:
            try:
                text = argument.removeprefix("--")
                if text.endswith("=None"):  # how sweep agents write null
                    text = text.removesuffix("None") + "null"
                update = OmegaConf.from_dotlist([text])
            except Exception as error:
                raise UserError(f"{argument}: not a readable key=value argument ({_one_line(error)}).") from error
            tree = _merge(tree, update, argument)
    try:
        config = OmegaConf.to_object(tree)
    except OmegaConfBaseException as error:
        raise UserError(f"configuration: {_one_line(error)}.") from error
    assert isinstance(config, Config)
    return config


def config_to_dict(config: Config) -> dict[str, Any]:
    """Return the configuration as nested dictionaries of primitives; without ``resume``, which is of one call."""
    return {key: value for key, value in asdict(config).items() if key != "resume"}


def save_config(config: Config, path: Path) -> None:
    """Write the resolved configuration as YAML."""
    from omegaconf import OmegaConf

    path.write_text(OmegaConf.to_yaml(OmegaConf.create(config_to_dict(config))), encoding="utf-8")
