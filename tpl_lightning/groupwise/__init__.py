"""The joint fit: all videos of an action warped onto their leave-one-out barycenters, without a network.

Energy and Levenberg-Marquardt steps, the discriminant space, the empirical-Bayes prior, starts from DTW paths.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
