from .discriminant import DiscriminantSpace, channel_energy, discriminant_projection
from .empirical_bayes import precision_factor
from .energy import FINE_CELLS, chunks, in_detail, less_offset
from .fit import (
    JointOptions,
    barycenters,
    centred_ends,
    enough_of_each,
    explained_variance,
    fit_jointly,
    fit_to_prototypes,
    leave_one_out_error,
    warps_from_positions,
)
from .model import JointModel, JointStart
from .path_warps import path_positions
from .rests import mean_rest

__all__ = [
    "FINE_CELLS",
    "DiscriminantSpace",
    "JointModel",
    "JointOptions",
    "JointStart",
    "barycenters",
    "centred_ends",
    "channel_energy",
    "chunks",
    "discriminant_projection",
    "enough_of_each",
    "explained_variance",
    "fit_jointly",
    "fit_to_prototypes",
    "in_detail",
    "leave_one_out_error",
    "less_offset",
    "mean_rest",
    "path_positions",
    "precision_factor",
    "warps_from_positions",
]
