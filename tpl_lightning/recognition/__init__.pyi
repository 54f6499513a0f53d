from .actions import ActionModel, Verdict
from .find import Hit, find_hits

__all__ = ["ActionModel", "Hit", "Verdict", "find_hits"]
