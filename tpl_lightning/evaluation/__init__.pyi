from .alignment import Alignment, faced_positions, idle_frames, prototype_grid
from .quality import assess
from .scores import Scores, evaluate, unmeasured, voted_labels

__all__ = [
    "Alignment",
    "Scores",
    "assess",
    "evaluate",
    "faced_positions",
    "idle_frames",
    "prototype_grid",
    "unmeasured",
    "voted_labels",
]
