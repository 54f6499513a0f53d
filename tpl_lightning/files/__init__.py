"""Files that this project writes: named safely, written whole or not at all, and never over what is not its own.

The lowest room: names, the guard of outputs, checkpoints, locks, TFRecords.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
