"""What a Python program or a notebook imports: an estimator over all methods, caches, runs and plots."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
