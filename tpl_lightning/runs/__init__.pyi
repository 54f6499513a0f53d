from .directory import CHECKED_FRAMES, find_cache, hold_folder, make_folder, open_run_directory, write_metrics
from .file_search import AUTO
from .run_video import NEW, RunFile, RunVideo, Unreadable, clock_of
from .videos import Run

__all__ = [
    "AUTO",
    "CHECKED_FRAMES",
    "NEW",
    "Run",
    "RunFile",
    "RunVideo",
    "Unreadable",
    "clock_of",
    "find_cache",
    "hold_folder",
    "make_folder",
    "open_run_directory",
    "write_metrics",
]
