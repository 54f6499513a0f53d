from .dtan import wcss_loss as wcss_loss
from .soft_dtw import contrastive_idm as contrastive_idm, soft_dtw as soft_dtw
from .tcc import cycle_back_regression as cycle_back_regression
from .tpl import annealed_weight as annealed_weight, icae_loss as icae_loss, mean_of_total as mean_of_total, reconstruction_error as reconstruction_error, tpl_loss as tpl_loss, video_errors as video_errors

__all__ = ["annealed_weight", "contrastive_idm", "cycle_back_regression", "icae_loss", "mean_of_total", "reconstruction_error", "soft_dtw", "tpl_loss", "video_errors", "wcss_loss"]
