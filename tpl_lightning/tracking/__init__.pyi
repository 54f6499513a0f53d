from .login import find_login
from .mirror import Mirror, mirror_run
from .scores import BEST, BestScores, read_log

__all__ = [
    "BEST",
    "BestScores",
    "Mirror",
    "find_login",
    "mirror_run",
    "read_log",
]
