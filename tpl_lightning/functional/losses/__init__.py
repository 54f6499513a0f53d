"""Losses: those of TPL, of DTAN, temporal cycle consistency, soft-DTW.

Each is a mean over videos, under DDP over those of all ranks.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
