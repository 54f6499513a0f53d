"""Videos in step: phases of a prototype, frames of files on a common clock, and what is drawn of them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
