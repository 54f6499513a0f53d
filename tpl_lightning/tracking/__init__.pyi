from .login import find_login as find_login
from .mirror import Mirror as Mirror, current_mirror as current_mirror, mirror_run as mirror_run
from .scores import BEST as BEST, BestScores as BestScores, read_log as read_log

__all__ = ["BEST", "BestScores", "Mirror", "current_mirror", "find_login", "mirror_run", "read_log"]
