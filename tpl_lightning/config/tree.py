"""Every option of the framework: one tree of frozen dataclasses."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tpl_lightning.config.check import check_limits
from tpl_lightning.config.fits import DirectConfig, DtwConfig
from tpl_lightning.config.networks import DtanConfig, HeadConfig, LossConfig, ModelConfig, WarpConfig
from tpl_lightning.config.runs import BenchConfig, DataConfig, Method, RunConfig, Selection, TrainConfig
from tpl_lightning.errors import UserError


@dataclass(frozen=True)
class Config:
    """All options."""

    method: Method = "tpl_plus"
    """The aligner. tpl: as in the paper; tpl_plus: the same module with an aligner that sees the prototype."""
    refine: bool | None = None
    """Refine the warps of `method` by the direct fit, from where they are; empty: yes for tpl_plus, no for others."""
    select: Selection = "auto"
    """labels: the labels of the training videos choose how strong the prior on warps is, up to linear rescaling, where
    that is clearly better than the prior as set; they have no say in the fit itself. auto: where at least 8 training
    videos have labels. none: labels are not looked at."""
    seed: int = 0
    """Seeds every random number; the same seed gives the same bits on a CPU."""
    data: DataConfig = field(default_factory=DataConfig)
    warp: WarpConfig = field(default_factory=WarpConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    dtw: DtwConfig = field(default_factory=DtwConfig)
    dtan: DtanConfig = field(default_factory=DtanConfig)
    direct: DirectConfig = field(default_factory=DirectConfig)
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
        """Tell whether the direct fit refines the warps of the method, where it does not make them."""
        if self.method in ("direct", "tcc", "lav"):
            return False
        return self.method == "tpl_plus" if self.refine is None else self.refine

    def __post_init__(self) -> None:
        """Check ranges."""
        check_limits(self, seed=(0, 2**32 - 1))


def config_to_dict(config: Config) -> dict[str, Any]:
    """Return the configuration as nested dictionaries of primitives; without ``resume``, which is of one call."""
    return {key: value for key, value in asdict(config).items() if key != "resume"}


def flattened(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested options by dotted keys.

    Example:
        >>> flattened({"seed": 1, "data": {"pca": None}, "trainer": {}})
        {'seed': 1, 'data.pca': None, 'trainer': {}}
    """
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        below = isinstance(value, Mapping) and value
        flat |= flattened(value, f"{prefix}{key}.") if below else {f"{prefix}{key}": value}
    return flat


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by dotted keys as nested ones, as :func:`flattened` had them.

    Raises:
        UserError: If one key lies below another.
    """
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *above, last = str(key).split(".")
        place = tree
        for name in above:
            place = place.setdefault(name, {})
            if not isinstance(place, dict):
                raise UserError(f"`{key}` is below another option; give one of them.")
        place[last] = value
    return tree
