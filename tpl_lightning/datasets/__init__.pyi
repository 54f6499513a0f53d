from .importers.embedding_files import import_embeddings
from .importers.registry import IMPORTERS
from .signals.registry import SIGNALS, import_signals
from .sources import find_or_make_cache

__all__ = [
    "IMPORTERS",
    "SIGNALS",
    "find_or_make_cache",
    "import_embeddings",
    "import_signals",
]
