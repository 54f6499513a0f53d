from .base import Aligner as Aligner, Features as Features, make_catalogue as make_catalogue, with_epochs as with_epochs
from .registry import build_aligner as build_aligner, load_aligner as load_aligner
from .tpl import TPLAligner as TPLAligner

__all__ = ["Aligner", "Features", "TPLAligner", "build_aligner", "load_aligner", "make_catalogue", "with_epochs"]
