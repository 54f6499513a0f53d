"""Runs on disk: the folder ``runs/NAME``, and the videos of a run, known or new."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
