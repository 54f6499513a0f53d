"""Mirroring of runs to Weights & Biases; the run directory stays the source of truth."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
