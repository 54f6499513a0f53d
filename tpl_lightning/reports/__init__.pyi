from .figures import draw_run
from .snapshots import Snapshots
from .tables import REFINED, data_source, method_name, print_scores

__all__ = [
    "REFINED",
    "Snapshots",
    "data_source",
    "draw_run",
    "method_name",
    "print_scores",
]
