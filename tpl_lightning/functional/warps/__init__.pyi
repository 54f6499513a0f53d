from .check import backend_status, warp_self_test
from .cpab import cell_slopes, cpab_warp, cpab_warp_jacobian, knot_velocity, num_parameters, warp_levels, warp_time
from .difw_backend import cpab_warp_difw, load_difw
from .least_squares import least_squares_warps
from .prior import prior_energy, sample_warps
from .random import random_theta

__all__ = [
    "backend_status",
    "cell_slopes",
    "cpab_warp",
    "cpab_warp_difw",
    "cpab_warp_jacobian",
    "knot_velocity",
    "least_squares_warps",
    "load_difw",
    "num_parameters",
    "prior_energy",
    "random_theta",
    "sample_warps",
    "warp_levels",
    "warp_self_test",
    "warp_time",
]
