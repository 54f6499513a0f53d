from .directory import find_cache, hold_folder, open_run_directory, write_metrics
from .videos import Run, RunFile, RunVideo

__all__ = [
    "Run",
    "RunFile",
    "RunVideo",
    "find_cache",
    "hold_folder",
    "open_run_directory",
    "write_metrics",
]
