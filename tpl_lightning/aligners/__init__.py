"""Aligners by name: each learns from training videos and yields an Alignment.

:func:`build_aligner` and :func:`load_aligner` are the registry.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
