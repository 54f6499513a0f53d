"""torchmetrics classes: CBC, PLP, key-event spread, phase accuracy, Kendall's tau, the score without labels.

They take batches of padded videos, merge over ranks, and work in anyone's LightningModule.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
