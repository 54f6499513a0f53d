"""Aligners by name: each learns from training videos and yields an Alignment."""

from pathlib import Path

from tpl_lightning.aligners.base import Aligner, StoredAligner, median_lengths
from tpl_lightning.config import Config
from tpl_lightning.errors import UserError

__all__ = ["Aligner", "StoredAligner", "build_aligner", "load_aligner", "median_lengths"]


def build_aligner(config: Config, run_dir: Path) -> Aligner:
    """Return the unfitted aligner that ``config.method`` names, refined if ``config.refine`` says so."""
    if config.method in ("tcc", "lav"):
        from tpl_lightning.aligners.heads import HeadAligner

        return HeadAligner(config, run_dir)
    if config.method != "direct" and not config.refines:
        return _build_base(config, run_dir)
    from tpl_lightning.aligners.joint import JointAligner

    return JointAligner(config, run_dir, base=None if config.method == "direct" else _build_base(config, run_dir))


def load_aligner(path: Path, config: Config) -> StoredAligner:
    """Load the fitted aligner of a checkpoint, with its refinement where the run had one.

    Args:
        path: ``last.ckpt`` of a run.
        config: The configuration of that run.

    Raises:
        UserError: If the file is missing or unreadable, or the method keeps no checkpoint.
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


def _build_base(config: Config, run_dir: Path) -> Aligner:
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

        return DTANAligner(config, run_dir)
    from tpl_lightning.aligners.tpl import TPLAligner

    return TPLAligner(config, run_dir)
