from .login import find_login
from .mirror import Mirror, current_mirror, mirror_run
from .scores import BEST, BestScores, read_log

__all__ = [
    "BEST",
    "BestScores",
    "Mirror",
    "current_mirror",
    "find_login",
    "mirror_run",
    "read_log",
]
