from .base import Aligner, Features, make_catalogue, with_epochs
from .registry import build_aligner, load_aligner
from .tpl import TPLAligner

__all__ = [
    "Aligner",
    "Features",
    "TPLAligner",
    "build_aligner",
    "load_aligner",
    "make_catalogue",
    "with_epochs",
]
