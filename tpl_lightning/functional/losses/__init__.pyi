from .dtan import wcss_loss
from .lav import contrastive_idm, soft_dtw
from .tcc import cycle_back_regression
from .tpl import annealed_weight, icae_loss, mean_of_total, reconstruction_error, tpl_loss, video_errors

__all__ = [
    "annealed_weight",
    "contrastive_idm",
    "cycle_back_regression",
    "icae_loss",
    "mean_of_total",
    "reconstruction_error",
    "soft_dtw",
    "tpl_loss",
    "video_errors",
    "wcss_loss",
]
