from .directory import find_cache as find_cache, hold_folder as hold_folder, open_run_directory as open_run_directory, write_atomically as write_atomically, write_metrics as write_metrics
from .videos import Run as Run, RunFile as RunFile, RunVideo as RunVideo

__all__ = ["Run", "RunFile", "RunVideo", "find_cache", "hold_folder", "open_run_directory", "write_atomically", "write_metrics"]
