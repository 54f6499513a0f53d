from .check import backend_status, warp_self_test
from .cpab import cell_slopes, cpab_warp, cpab_warp_jacobian, knot_velocity, num_parameters, warp_levels, warp_time
from .difw_backend import cpab_warp_difw, load_difw
from .ends import (
    between,
    between_ends,
    coverage,
    first_ends,
    has_open_ends,
    prototype_times,
    prototype_times_jacobian,
    video_times,
    with_ends,
)
from .least_squares import least_squares_warps
from .prior import prior_energy, sample_warps
from .random import random_theta

__all__ = [
    "backend_status",
    "between",
    "between_ends",
    "cell_slopes",
    "coverage",
    "cpab_warp",
    "cpab_warp_difw",
    "cpab_warp_jacobian",
    "first_ends",
    "has_open_ends",
    "knot_velocity",
    "least_squares_warps",
    "load_difw",
    "num_parameters",
    "prior_energy",
    "prototype_times",
    "prototype_times_jacobian",
    "random_theta",
    "sample_warps",
    "video_times",
    "warp_levels",
    "warp_self_test",
    "warp_time",
    "with_ends",
]
