"""Aligners by name: each learns from training videos and yields an Alignment."""

from pathlib import Path
from typing import TYPE_CHECKING

from tpl_lightning.aligners.base import Aligner, LengthAligner, StoredAligner, median_lengths
from tpl_lightning.config import Config
from tpl_lightning.errors import UserError
from tpl_lightning.evaluation import Alignment

if TYPE_CHECKING:
    from tpl_lightning.data import EmbeddingDataModule, Splits
    from tpl_lightning.lit import AlignmentModule
    from tpl_lightning.tracking import WandbRun

__all__ = [
    "Aligner",
    "StoredAligner",
    "build_aligner",
    "build_module",
    "load_aligner",
    "median_lengths",
    "restore_aligner",
]


def build_aligner(config: Config, run_dir: Path, wandb_run: "WandbRun | None" = None) -> Aligner:
    """Return the unfitted aligner that ``config.method`` names, refined if ``config.refine`` says so.

    Args:
        config: The configuration.
        run_dir: Folder for checkpoints and the CSV log.
        wandb_run: Where a training is logged; None: nowhere.

    Example:
        >>> from tpl_lightning.config import load_config
        >>> type(build_aligner(load_config(["method=direct"]), Path("runs/mine"))).__name__
        'JointAligner'
    """
    if config.method in ("tcc", "lav"):
        from tpl_lightning.aligners.heads import HeadAligner

        return HeadAligner(config, run_dir, wandb_run=wandb_run)
    if config.method != "direct" and not config.refines:
        return _build_base(config, run_dir, wandb_run)
    from tpl_lightning.aligners.joint import JointAligner

    return JointAligner(
        config, run_dir, base=None if config.method == "direct" else _build_base(config, run_dir, wandb_run)
    )


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
    aligner = _build_base(config, Path())
    assert isinstance(aligner, TPLAligner)
    return aligner.build(splits)


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
    from tpl_lightning.aligners.joint import JointAligner

    if config.method == "direct":
        return JointAligner.from_checkpoint(path, config)
    if config.method in ("tcc", "lav"):
        from tpl_lightning.aligners.heads import HeadAligner

        return HeadAligner.from_checkpoint(path, config)
    if not config.refines:
        return _load_base(path, config)
    is_stored = config.method not in ("linear", "pad")
    base = _load_base(path, config) if is_stored else _build_base(config, path.parent.parent)
    return JointAligner.from_checkpoint(path.with_name("refinement.ckpt"), config, base=base)


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
    if config.method not in ("linear", "pad") or config.refines:
        return load_aligner(checkpoints / "last.ckpt", config)
    aligner = _build_base(config, checkpoints.parent)
    assert isinstance(aligner, LengthAligner)
    lengths = zip(alignment.action.tolist(), alignment.prototype_length.tolist(), strict=True)
    aligner.prototype_length = dict(lengths)
    return aligner


def _load_base(path: Path, config: Config) -> StoredAligner:
    """Load what ``_build_base`` builds, where that keeps a checkpoint."""
    if config.method in ("dba", "softdba"):
        from tpl_lightning.aligners.dtw import DtwAligner

        return DtwAligner.from_checkpoint(path, config)
    if config.method == "dtan":
        from tpl_lightning.aligners.dtan import DTANAligner

        return DTANAligner.from_checkpoint(path, config)
    if config.method in ("tpl", "tpl_plus"):
        from tpl_lightning.aligners.tpl import TPLAligner

        return TPLAligner.from_checkpoint(path, config)
    raise UserError(f"{path}: method={config.method} keeps no checkpoint; fit it on the videos themselves.")


def _build_base(config: Config, run_dir: Path, wandb_run: "WandbRun | None" = None) -> Aligner:
    """Return the aligner of ``config.method``; only its own modules are imported."""
    if config.method == "linear":
        from tpl_lightning.aligners.linear import LinearAligner

        return LinearAligner()
    if config.method == "pad":
        from tpl_lightning.aligners.pad import PadAligner

        return PadAligner()
    if config.method in ("dba", "softdba"):
        from tpl_lightning.aligners.dtw import DtwAligner

        return DtwAligner(config, run_dir)
    if config.method == "dtan":
        from tpl_lightning.aligners.dtan import DTANAligner

        return DTANAligner(config, run_dir, wandb_run)
    from tpl_lightning.aligners.tpl import TPLAligner

    return TPLAligner(config, run_dir, wandb_run)
