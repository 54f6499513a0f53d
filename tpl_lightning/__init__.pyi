from .api import Synchronizer, load_cache, load_run, plot_alignment, plot_prototype, plot_warps
from .errors import UserError

__version__: str

__all__ = [
    "Synchronizer",
    "UserError",
    "__version__",
    "load_cache",
    "load_run",
    "plot_alignment",
    "plot_prototype",
    "plot_warps",
]
