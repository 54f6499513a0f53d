"""CPAB warps of time: the flow, its derivatives, priors, and warps nearest to given positions.

Convention: T^theta maps prototype time to video time, both in [0, 1].
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
