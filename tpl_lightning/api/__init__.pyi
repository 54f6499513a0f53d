from .loading import load_cache, load_run
from .plots import plot_alignment, plot_prototype, plot_warps
from .synchronizer import Synchronizer

__all__ = [
    "Synchronizer",
    "load_cache",
    "load_run",
    "plot_alignment",
    "plot_prototype",
    "plot_warps",
]
