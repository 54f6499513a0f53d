"""From frames to embeddings: HOG, motion, image models, and the pipeline that embeds a folder of clips.

Work is shared among processes and machines and goes on where it stopped.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
