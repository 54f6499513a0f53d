from .login import choose_mode, find_login
from .mirror import Mirror, mirror_run
from .scores import BEST, BestScores, read_log

__all__ = [
    "BEST",
    "BestScores",
    "Mirror",
    "choose_mode",
    "find_login",
    "mirror_run",
    "read_log",
]
