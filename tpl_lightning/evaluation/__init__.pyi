from .alignment import Alignment as Alignment, prototype_grid as prototype_grid
from .quality import assess as assess
from .scores import Scores as Scores, evaluate as evaluate, unmeasured as unmeasured, voted_labels as voted_labels

__all__ = ["Alignment", "Scores", "assess", "evaluate", "prototype_grid", "unmeasured", "voted_labels"]
