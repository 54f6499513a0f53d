"""The Alignment that every aligner yields, its scores with labels, and its quality without."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
