from .distributed import (
    all_reduce_sum,
    compute_device,
    gather_rows,
    global_mean,
    is_rank_zero,
    most_of_ranks,
    num_ranks,
    on_rank_zero,
    part_from_ranks,
    wait_for_all,
)
from .dtw import dtw_positions, open_costs
from .expected_paths import expected_path, path_posterior
from .masks import frame_times, length_mask, within_ends
from .prototypes import LEAST_WEIGHT, PrototypeAccumulator, group_mean, leave_one_out_mean, mean_of_others
from .resampling import resample, resample_nearest, resample_to_size
from .shapes import Bool, Float, Int, Shaped
from .smoothing import sample_each, sample_rows, smoothed, stage_size, time_slope

__all__ = [
    "LEAST_WEIGHT",
    "Bool",
    "Float",
    "Int",
    "PrototypeAccumulator",
    "Shaped",
    "all_reduce_sum",
    "compute_device",
    "dtw_positions",
    "expected_path",
    "frame_times",
    "gather_rows",
    "global_mean",
    "group_mean",
    "is_rank_zero",
    "leave_one_out_mean",
    "length_mask",
    "mean_of_others",
    "most_of_ranks",
    "num_ranks",
    "on_rank_zero",
    "open_costs",
    "part_from_ranks",
    "path_posterior",
    "resample",
    "resample_nearest",
    "resample_to_size",
    "sample_each",
    "sample_rows",
    "smoothed",
    "stage_size",
    "time_slope",
    "wait_for_all",
    "within_ends",
]
