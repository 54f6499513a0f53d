"""Scores: of phases by labels, Kendall's tau, the phase classifier, retrieval, the diagnosis of a network.

The torchmetrics classes in ``metrics`` count and gather; the formulas are here.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
