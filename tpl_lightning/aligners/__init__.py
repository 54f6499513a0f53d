"""Aligners by name: each learns from training videos and yields an Alignment."""

from pathlib import Path

from tpl_lightning.aligners.base import Aligner, median_lengths
from tpl_lightning.config import Config

__all__ = ["Aligner", "build_aligner", "median_lengths"]


def build_aligner(config: Config, run_dir: Path) -> Aligner:
    """Return the unfitted aligner that ``config.method`` names; only its own modules are imported."""
    if config.method == "linear":
        from tpl_lightning.aligners.linear import LinearAligner

        return LinearAligner()
    if config.method == "pad":
        from tpl_lightning.aligners.pad import PadAligner

        return PadAligner()
    from tpl_lightning.aligners.tpl import TPLAligner

    return TPLAligner(config, run_dir)
