"""torchmetrics classes for alignments: CBC, PLP, key-event spread, phase accuracy, Kendall's tau."""

from tpl_lightning.metrics.cbc import CycleBackConsistency
from tpl_lightning.metrics.kendalls_tau import KendallsTau
from tpl_lightning.metrics.key_events import KeyEventSpread
from tpl_lightning.metrics.phase_accuracy import PhaseAccuracy
from tpl_lightning.metrics.plp import PhaseLabelPropagation

__all__ = ["CycleBackConsistency", "KendallsTau", "KeyEventSpread", "PhaseAccuracy", "PhaseLabelPropagation"]
