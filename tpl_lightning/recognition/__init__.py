"""Which action is it, and where: the prototypes of a run against videos that nobody has named or trimmed."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
