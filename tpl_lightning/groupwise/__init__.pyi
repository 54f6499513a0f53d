from .discriminant import TimingSpace, channel_energy, timing_metric
from .empirical_bayes import precision_factor
from .energy import FINE_CELLS, chunks, in_detail, less_level
from .fit import (
    JointOptions,
    agreement,
    barycenters,
    centred_ends,
    disagreement,
    enough_of_each,
    fit_jointly,
    fit_to_prototypes,
    warps_from_positions,
)
from .model import JointModel, JointStart
from .path_warps import path_positions
from .rests import mean_rest

__all__ = [
    "FINE_CELLS",
    "JointModel",
    "JointOptions",
    "JointStart",
    "TimingSpace",
    "agreement",
    "barycenters",
    "centred_ends",
    "channel_energy",
    "chunks",
    "disagreement",
    "enough_of_each",
    "fit_jointly",
    "fit_to_prototypes",
    "in_detail",
    "less_level",
    "mean_rest",
    "path_positions",
    "precision_factor",
    "timing_metric",
    "warps_from_positions",
]
