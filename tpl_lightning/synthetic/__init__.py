"""Rendered clips of moving figures, with the progress of every frame known."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
