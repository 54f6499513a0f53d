"""torchmetrics classes for alignments: CBC, PLP, key-event spread."""

from tpl_lightning.metrics.cbc import CycleBackConsistency
from tpl_lightning.metrics.key_events import KeyEventSpread
from tpl_lightning.metrics.plp import PhaseLabelPropagation

__all__ = ["CycleBackConsistency", "KeyEventSpread", "PhaseLabelPropagation"]
