"""Public data sets: what their trees look like, and where a run finds its embeddings."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
