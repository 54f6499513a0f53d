"""tpl_lightning: synchronise many videos of one action by Temporal Prototype Learning."""

__version__ = "0.2.0"

__all__ = ["__version__"]
