"""Options of a run: the dataclasses, where their values come from, and the files that hold them.

Nothing here knows tensors. Every command loads its options by :func:`load_config`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
