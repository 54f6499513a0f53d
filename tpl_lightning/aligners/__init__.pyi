from .base import Aligner, Features, StoredAligner, make_catalogue, with_epochs
from .registry import build_aligner, build_module, load_aligner, restore_aligner
from .tpl import TPLAligner

__all__ = [
    "Aligner",
    "Features",
    "StoredAligner",
    "TPLAligner",
    "build_aligner",
    "build_module",
    "load_aligner",
    "make_catalogue",
    "restore_aligner",
    "with_epochs",
]
