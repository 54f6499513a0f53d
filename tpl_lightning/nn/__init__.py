"""Networks: plain nn.Modules, no Lightning.

D-MTAE of the paper, its encoders and aligners, and the networks of its rivals.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
