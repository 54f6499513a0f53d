from .alignment_score import AlignmentScore
from .cbc import CycleBackConsistency
from .kendalls_tau import KendallsTau
from .key_events import KeyEventSpread
from .phase_accuracy import PhaseAccuracy
from .plp import PhaseLabelPropagation

__all__ = [
    "AlignmentScore",
    "CycleBackConsistency",
    "KendallsTau",
    "KeyEventSpread",
    "PhaseAccuracy",
    "PhaseLabelPropagation",
]
