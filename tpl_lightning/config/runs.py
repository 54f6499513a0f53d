"""What every method is told: the data, the training, where results go, what is compared."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from tpl_lightning.config.check import check_limits, require

Method = Literal["linear", "pad", "dba", "softdba", "dtan", "tpl", "direct", "tpl_plus", "tcc", "lav"]
Selection = Literal["auto", "labels", "none"]


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
    groups: list[str] | None = None
    """Only these feature groups of a cache that has several (`tpl cache info` lists them); empty: all."""
    group_weights: list[float] | None = None
    """Energy of each group relative to the others, in the order of `data.groups`; empty: equal, less for a group in
    which the videos of an action have little in common."""
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
        require(self.folds == 0 or self.folds >= 2, "data.folds", "0 or at least 2", self.folds)
        require(
            self.fold == 0 or 0 <= self.fold < self.folds,
            "data.fold",
            f"in 0..{max(self.folds - 1, 0)} (data.folds={self.folds})",
            self.fold,
        )
        check_limits(self, "data.", batch_size=(1, None), num_workers=(0, None))
        require(self.pca is None or self.pca >= 1, "data.pca", "at least 1, or null for all channels", self.pca)
        require(self.actions is None or len(self.actions) > 0, "data.actions", "a list of names, or null", [])
        self._check_groups()

    def _check_groups(self) -> None:
        groups, weights = self.groups, self.group_weights
        ok = groups is None or (len(groups) > 0 and len(set(groups)) == len(groups))
        require(ok, "data.groups", "a list of names, each once, or null", groups)
        if weights is not None:
            ok = all(0 <= weight < float("inf") for weight in weights) and sum(weights) > 0
            require(ok, "data.group_weights", "a list of numbers of at least 0, not all 0, or null", weights)
            ok = groups is None or len(groups) == len(weights)
            require(ok, "data.group_weights", f"a number for each of data.groups={groups}", weights)


@dataclass(frozen=True)
class TrainConfig:
    """Optimisation."""

    max_epochs: int | None = None
    """Passes over the training videos; with few videos an epoch is one step. Empty: 300, or as make 60 steps
    where the aligner sees the prototype (model.aligner=path)."""
    lr: float = 1e-3
    """Peak learning rate of AdamW; a cosine schedule takes it to 0. 0: the weights stay as they start."""
    weight_decay: float = 1e-4
    """Weight decay of AdamW."""
    clip: float = 1.0
    """Largest norm of the gradient; 0: not clipped."""
    val_every: int = 25
    """Epochs between validations."""
    random_warp: float = 0.0
    """Training videos are warped at random, anew in each step: root mean square slope of the velocity; 0: not."""
    compile: bool = False
    """Compile the network with torch.compile: slow to start, for long trainings on GPUs. A CPU is no faster so."""

    def __post_init__(self) -> None:
        """Check ranges."""
        check_limits(self, "train.", max_epochs=(1, None), lr=(0, None), weight_decay=(0, None), clip=(0, None))
        check_limits(self, "train.", val_every=(1, None), random_warp=(0, None))


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
    wandb: str = "auto"
    """Log the run to Weights & Biases; auto: online where a login is found, else offline; WANDB_MODE counts."""
    project: str | None = None
    """W&B project; empty: WANDB_PROJECT, else tpl_lightning."""
    group: str | None = None
    """W&B group; empty: data set and method, so that folds and seeds lie together."""
    tags: list[str] = field(default_factory=list)
    """Further W&B tags; data set, method, extractor, fold and seed are always there."""

    def __post_init__(self) -> None:
        """Check that the name is one folder."""
        known = ("auto", "online", "offline", "disabled")
        # YAML makes a boolean of the words that people type here.
        plain = {"false": "disabled", "off": "disabled", "no": "disabled", "true": "auto", "on": "auto", "yes": "auto"}
        object.__setattr__(self, "wandb", plain.get(str(self.wandb).lower(), self.wandb))
        require(self.wandb in known, "run.wandb", f"one of {', '.join(known)}", self.wandb)
        bad = [tag for tag in self.tags if not 1 <= len(tag) <= 64]
        require(not bad, "run.tags", "a list of names of 1 to 64 letters", bad)
        ok = self.name is None or (self.name not in {"", ".", ".."} and Path(self.name).name == self.name)
        require(ok, "run.name", "a plain folder name without slashes", self.name)


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
            require(known, "bench.methods", f"a list of {', '.join(get_args(Method))}, or YAML files", name)
        require(len(self.seeds) > 0, "bench.seeds", "a list of numbers", self.seeds)
        require(self.minutes > 0, "bench.minutes", "above 0", self.minutes)
