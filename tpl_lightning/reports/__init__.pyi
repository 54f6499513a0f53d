from .figures import draw_run as draw_run
from .snapshots import Snapshots as Snapshots, snapshot_epochs as snapshot_epochs
from .tables import REFINED as REFINED, data_source as data_source, method_name as method_name, print_scores as print_scores

__all__ = ["REFINED", "Snapshots", "data_source", "draw_run", "method_name", "print_scores", "snapshot_epochs"]
