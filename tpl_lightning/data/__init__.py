"""Embedding caches and what serves them: reader, writer, shards, splits, preprocessing, batches, the DataModule.

A cache is one HDF5 file, or several that are read as one.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
