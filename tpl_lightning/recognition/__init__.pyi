from .actions import ActionModel
from .find import Hit, find_hits
from .limits import Verdict

__all__ = ["ActionModel", "Hit", "Verdict", "find_hits"]
