from .definition import read_sweep as read_sweep
from .report import best_line as best_line, write_best as write_best, write_plot as write_plot, write_table as write_table
from .study import LocalSweep as LocalSweep

__all__ = ["LocalSweep", "best_line", "read_sweep", "write_best", "write_plot", "write_table"]
