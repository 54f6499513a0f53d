from .importers.embedding_files import import_embeddings
from .importers.registry import IMPORTERS
from .sources import find_or_make_cache

__all__ = [
    "IMPORTERS",
    "find_or_make_cache",
    "import_embeddings",
]
