from .definition import Sweep, read_sweep
from .report import REPORT_FILES, write_plot, write_report
from .results import Results, Row
from .study import LocalSweep

__all__ = [
    "REPORT_FILES",
    "LocalSweep",
    "Results",
    "Row",
    "Sweep",
    "read_sweep",
    "write_plot",
    "write_report",
]
