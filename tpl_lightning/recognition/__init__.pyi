from .actions import ActionModel, Verdict

__all__ = ["ActionModel", "Verdict"]
