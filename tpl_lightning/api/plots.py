"""The plots of an alignment, at the door of the Python API."""

from tpl_lightning.evaluation import plot_alignment, plot_prototype, plot_warps

__all__ = ["plot_alignment", "plot_prototype", "plot_warps"]
