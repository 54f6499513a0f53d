from .alignment import Alignment, prototype_grid
from .quality import assess
from .scores import Scores, evaluate, unmeasured, voted_labels

__all__ = [
    "Alignment",
    "Scores",
    "assess",
    "evaluate",
    "prototype_grid",
    "unmeasured",
    "voted_labels",
]
