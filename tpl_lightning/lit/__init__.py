"""Lightning: the modules, their callbacks and the trainer."""

from tpl_lightning.lit.module import TPLModule

__all__ = ["TPLModule"]
