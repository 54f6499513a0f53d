from .alignment_score import AlignmentScore as AlignmentScore, ROUGHNESS_WEIGHT as ROUGHNESS_WEIGHT
from .cbc import CycleBackConsistency as CycleBackConsistency
from .kendalls_tau import KendallsTau as KendallsTau
from .key_events import KeyEventSpread as KeyEventSpread
from .phase_accuracy import PhaseAccuracy as PhaseAccuracy
from .plp import PhaseLabelPropagation as PhaseLabelPropagation

__all__ = ["AlignmentScore", "CycleBackConsistency", "KendallsTau", "KeyEventSpread", "PhaseAccuracy", "PhaseLabelPropagation", "ROUGHNESS_WEIGHT"]
