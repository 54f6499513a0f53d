"""Video files: finding, probing, decoding, pixels, writing, and the clock that every frame's time comes from.

PyAV is optional and imported where a file is opened.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
