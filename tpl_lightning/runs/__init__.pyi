from .directory import find_cache, hold_folder, open_run_directory, write_atomically, write_metrics
from .videos import AUTO, NEW, Run, RunFile, RunVideo, collect_files

__all__ = [
    "AUTO",
    "NEW",
    "Run",
    "RunFile",
    "RunVideo",
    "collect_files",
    "find_cache",
    "hold_folder",
    "open_run_directory",
    "write_atomically",
    "write_metrics",
]
