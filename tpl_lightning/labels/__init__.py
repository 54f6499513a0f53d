"""Phases of videos as people have them: JSON, CSV, ELAN, BORIS.

Reading only; ``sync`` writes them out again.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
