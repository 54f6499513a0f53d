"""torchmetrics classes: CBC, PLP, key-event spread, phase accuracy, Kendall's tau, the score without labels."""

from tpl_lightning.metrics.alignment_score import AlignmentScore
from tpl_lightning.metrics.cbc import CycleBackConsistency
from tpl_lightning.metrics.kendalls_tau import KendallsTau
from tpl_lightning.metrics.key_events import KeyEventSpread
from tpl_lightning.metrics.phase_accuracy import PhaseAccuracy
from tpl_lightning.metrics.plp import PhaseLabelPropagation

__all__ = [
    "AlignmentScore",
    "CycleBackConsistency",
    "KendallsTau",
    "KeyEventSpread",
    "PhaseAccuracy",
    "PhaseLabelPropagation",
]
