from .diagnosis import LEAST_SLOPE, ROUGHNESS_WEIGHT, clock_share, left_over, relative_icae
from .kendall import Distance, TauVariant, kendall_tau_sums, pairwise_kendall_tau
from .key_events import key_event_moments, spread_from_moments
from .phase_classifier import fit_phase_classifier, phase_accuracy_sums
from .phases import (
    agreement_sum,
    cycle_back_consistency,
    label_shares,
    prototype_index,
    prototype_labels,
    prototype_votes,
)
from .retrieval import frames_on_prototype, lookup_matches, nearest_rows, typical_videos
from .video_rows import VideoRows

__all__ = [
    "LEAST_SLOPE",
    "ROUGHNESS_WEIGHT",
    "Distance",
    "TauVariant",
    "VideoRows",
    "agreement_sum",
    "clock_share",
    "cycle_back_consistency",
    "fit_phase_classifier",
    "frames_on_prototype",
    "kendall_tau_sums",
    "key_event_moments",
    "label_shares",
    "left_over",
    "lookup_matches",
    "nearest_rows",
    "pairwise_kendall_tau",
    "phase_accuracy_sums",
    "prototype_index",
    "prototype_labels",
    "prototype_votes",
    "relative_icae",
    "spread_from_moments",
    "typical_videos",
]
