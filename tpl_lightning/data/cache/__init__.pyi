from .reader import EmbeddingCache
from .shards import open_cache
from .writer import EmbeddingCacheWriter

__all__ = ["EmbeddingCache", "EmbeddingCacheWriter", "open_cache"]
