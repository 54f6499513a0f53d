from .discriminant import channel_energy, timing_metric
from .empirical_bayes import precision_factor
from .energy import FINE_CELLS, chunks, in_detail
from .fit import (
    JointOptions,
    agreement,
    barycenters,
    disagreement,
    fit_jointly,
    fit_to_prototypes,
    warps_from_positions,
)
from .model import JointModel, JointStart

__all__ = [
    "FINE_CELLS",
    "JointModel",
    "JointOptions",
    "JointStart",
    "agreement",
    "barycenters",
    "channel_energy",
    "chunks",
    "disagreement",
    "fit_jointly",
    "fit_to_prototypes",
    "in_detail",
    "precision_factor",
    "timing_metric",
    "warps_from_positions",
]
