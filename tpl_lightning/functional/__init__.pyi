from .distributed import all_reduce_sum as all_reduce_sum, compute_device as compute_device, gather_rows as gather_rows, global_mean as global_mean, is_rank_zero as is_rank_zero, most_of_ranks as most_of_ranks, num_ranks as num_ranks, on_rank_zero as on_rank_zero, part_from_ranks as part_from_ranks, wait_for_all as wait_for_all
from .dtw import dtw_positions as dtw_positions
from .expected_path import expected_path as expected_path
from .masks import frame_times as frame_times, length_mask as length_mask
from .prototypes import PrototypeAccumulator as PrototypeAccumulator, group_mean as group_mean, leave_one_out_mean as leave_one_out_mean
from .resampling import resample as resample, resample_nearest as resample_nearest, resample_to_size as resample_to_size
from .smoothing import sample_each as sample_each, sample_rows as sample_rows, smoothed as smoothed, stage_size as stage_size, time_slope as time_slope

__all__ = ["PrototypeAccumulator", "all_reduce_sum", "compute_device", "dtw_positions", "expected_path", "frame_times", "gather_rows", "global_mean", "group_mean", "is_rank_zero", "leave_one_out_mean", "length_mask", "most_of_ranks", "num_ranks", "on_rank_zero", "part_from_ranks", "resample", "resample_nearest", "resample_to_size", "sample_each", "sample_rows", "smoothed", "stage_size", "time_slope", "wait_for_all"]
