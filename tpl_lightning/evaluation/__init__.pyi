from .alignment import Alignment, prototype_grid
from .quality import Quality, assess
from .scores import Scores, evaluate, unmeasured, voted_labels

__all__ = [
    "Alignment",
    "Quality",
    "Scores",
    "assess",
    "evaluate",
    "prototype_grid",
    "unmeasured",
    "voted_labels",
]
