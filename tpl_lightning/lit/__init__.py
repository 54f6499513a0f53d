"""Lightning: the module, its callbacks and the trainer."""

from tpl_lightning.lit.module import TPLModule
from tpl_lightning.lit.trainer import build_trainer

__all__ = ["TPLModule", "build_trainer"]
