"""Mathematics of tensors: sampling, masks, prototypes, paths, what ranks sum together.

Pure functions; no options, no files, no Lightning. Warps, losses and scores have rooms of their own in it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
