from .diagnosis import clock_share, left_over, relative_icae
from .kendall import Distance, TauVariant, pairwise_kendall_tau
from .phase_classifier import fit_phase_classifier
from .phases import (
    agreement_sum,
    cycle_back_consistency,
    key_event_moments,
    label_shares,
    prototype_index,
    prototype_labels,
    prototype_votes,
    spread_from_moments,
)
from .retrieval import frames_on_prototype, lookup_matches, nearest_rows, typical_videos

__all__ = [
    "Distance",
    "TauVariant",
    "agreement_sum",
    "clock_share",
    "cycle_back_consistency",
    "fit_phase_classifier",
    "frames_on_prototype",
    "key_event_moments",
    "label_shares",
    "left_over",
    "lookup_matches",
    "nearest_rows",
    "pairwise_kendall_tau",
    "prototype_index",
    "prototype_labels",
    "prototype_votes",
    "relative_icae",
    "spread_from_moments",
    "typical_videos",
]
