from .definition import Sweep, read_sweep
from .report import best_line, write_best, write_plot, write_table
from .study import LocalSweep

__all__ = [
    "LocalSweep",
    "Sweep",
    "best_line",
    "read_sweep",
    "write_best",
    "write_plot",
    "write_table",
]
