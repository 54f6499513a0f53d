"""Aligners by name: each learns from training videos and yields an Alignment."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tpl_lightning.aligners.base import Aligner, StoredAligner
from tpl_lightning.aligners.by_length import LengthAligner
from tpl_lightning.aligners.refined import RefinedAligner
from tpl_lightning.config import Config
from tpl_lightning.errors import UserError
from tpl_lightning.evaluation import Alignment

if TYPE_CHECKING:
    from tpl_lightning.data import EmbeddingDataModule, Splits
    from tpl_lightning.lit import AlignmentModule
    from tpl_lightning.tracking import WandbRun

# Module and class of each method; only that of the method is imported.
_CLASSES = {
    "linear": ("by_length", "LinearAligner"),
    "pad": ("by_length", "PadAligner"),
    "dba": ("dtw", "DtwAligner"),
    "softdba": ("dtw", "DtwAligner"),
    "direct": ("direct", "DirectAligner"),
    "tcc": ("heads", "HeadAligner"),
    "lav": ("heads", "HeadAligner"),
    "dtan": ("tpl", "TPLAligner"),
    "tpl": ("tpl", "TPLAligner"),
    "tpl_plus": ("tpl", "TPLAligner"),
}


def _class_of(method: str) -> type[Aligner]:
    module, name = _CLASSES[method]
    found: type[Aligner] = getattr(import_module(f"tpl_lightning.aligners.{module}"), name)
    return found


def build_aligner(config: Config, run_dir: Path, wandb_run: "WandbRun | None" = None) -> Aligner:
    """Return the unfitted aligner that ``config.method`` names, refined if ``config.refine`` says so.

    Args:
        config: The configuration.
        run_dir: Folder for checkpoints and the CSV log.
        wandb_run: Where a training is logged; None: nowhere.

    Example:
        >>> from tpl_lightning.config import load_config
        >>> type(build_aligner(load_config(["method=direct"]), Path("runs/mine"))).__name__
        'DirectAligner'
    """
    aligner = _class_of(config.method)(config, run_dir, wandb_run)
    return RefinedAligner(aligner, config, run_dir) if config.refines else aligner


def build_module(config: Config, splits: "Splits") -> "tuple[AlignmentModule, EmbeddingDataModule]":
    """Return the LightningModule of a method and its data, for a Trainer of the caller's.

    It needs the callbacks that :func:`tpl_lightning.lit.training_callbacks` gives, and
    ``Trainer(use_distributed_sampler=False)``. Random numbers are seeded by ``config.seed``.

    Args:
        config: The configuration; ``method`` is ``tpl``, ``tpl_plus`` or ``dtan``.
        splits: The videos.

    Raises:
        UserError: If the method trains no network that predicts warps.

    Example:
        >>> from tpl_lightning.config import load_config
        >>> from tpl_lightning.data import ArrayCache, VideoSet, split_videos
        >>> config = load_config(["method=tpl", "data.folds=3", "data.pca=2"])
        >>> videos = VideoSet(ArrayCache([np.eye(5) + k for k in range(3)], action=["jump"] * 3))
        >>> module, data = build_module(config, split_videos(videos, config.data))
        >>> module.actions, len(data.train), len(data.test)
        (['jump'], 2, 1)
    """
    from tpl_lightning.aligners.tpl import TPLAligner

    if config.method not in ("tpl", "tpl_plus", "dtan"):
        raise UserError(f"method={config.method}: trains no network that predicts warps; take tpl_plus, tpl or dtan.")
    return TPLAligner(config, Path()).build(splits)


def load_aligner(path: Path, config: Config) -> StoredAligner:
    """Load the fitted aligner of a checkpoint, with its refinement where the run had one.

    Args:
        path: ``last.ckpt`` of a run.
        config: The configuration of that run.

    Raises:
        UserError: If the file is missing or unreadable, or the method keeps no checkpoint.

    Example:
        >>> load_aligner(Path("runs/missing/checkpoints/last.ckpt"), Config())  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        tpl_lightning.errors.FileError: runs/missing/checkpoints/last.ckpt: no checkpoint there; ...
    """
    kind = _class_of(config.method)
    if not config.refines:
        found = kind.from_checkpoint(path, config)
        assert isinstance(found, StoredAligner)  # others have raised
        return found
    run_dir = path.parent.parent
    base = kind(config, run_dir) if issubclass(kind, LengthAligner) else kind.from_checkpoint(path, config)
    aligner = RefinedAligner(base, config, run_dir)
    aligner.load(aligner.checkpoint)
    return aligner


def restore_aligner(checkpoints: Path, config: Config, alignment: Alignment) -> Aligner:
    """Return the fitted aligner of a run; of methods that learn nothing but lengths, from those of its alignment.

    Args:
        checkpoints: Folder of the run's checkpoints.
        config: The configuration of the run.
        alignment: The alignment of the run.

    Raises:
        UserError: As :func:`load_aligner`.

    Example:
        >>> import numpy as np
        >>> from tpl_lightning.config import load_config
        >>> line = np.linspace(0, 1, 5)
        >>> known = Alignment.from_rows(
        ...     video_id=["a"], action=["jump"], split=["train"], positions=[line], sources=[line]
        ... )
        >>> restore_aligner(Path("runs/mine/checkpoints"), load_config(["method=linear"]), known).prototype_length
        {'jump': 5}
    """
    kind = _class_of(config.method)
    if config.refines or not issubclass(kind, LengthAligner):
        return load_aligner(checkpoints / "last.ckpt", config)
    aligner = kind(config, checkpoints.parent)
    aligner.prototype_length = dict(zip(alignment.action.tolist(), alignment.prototype_length.tolist(), strict=True))
    return aligner
