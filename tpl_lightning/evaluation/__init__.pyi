from .alignment import Alignment
from .plots import first_component, phase_colors, plot_alignment, plot_prototype, plot_signal, plot_warps
from .quality import Quality, assess
from .scores import Scores, evaluate, unmeasured, voted_labels
from .warp import Warp, faced_positions, idle_frames, prototype_grid, warped

__all__ = [
    "Alignment",
    "Quality",
    "Scores",
    "Warp",
    "assess",
    "evaluate",
    "faced_positions",
    "first_component",
    "idle_frames",
    "phase_colors",
    "plot_alignment",
    "plot_prototype",
    "plot_signal",
    "plot_warps",
    "prototype_grid",
    "unmeasured",
    "voted_labels",
    "warped",
]
