from .base import Aligner, Features, StoredAligner
from .metadata import dataset_metadata
from .refined import RefinedAligner
from .registry import build_aligner, build_module, load_aligner, restore_aligner
from .tpl import TPLAligner

__all__ = [
    "Aligner",
    "Features",
    "RefinedAligner",
    "StoredAligner",
    "TPLAligner",
    "build_aligner",
    "build_module",
    "dataset_metadata",
    "load_aligner",
    "restore_aligner",
]
