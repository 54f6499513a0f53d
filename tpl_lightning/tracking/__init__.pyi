from .login import choose_mode, find_login
from .scores import BEST, BestScores, read_log
from .wandb_run import WandbRun, open_wandb_run

__all__ = [
    "BEST",
    "BestScores",
    "WandbRun",
    "choose_mode",
    "find_login",
    "open_wandb_run",
    "read_log",
]
