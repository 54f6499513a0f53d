from .cache.arrays import ArrayCache
from .cache.reader import EmbeddingCache, EmbeddingCacheWriter
from .cache.shards import open_cache
from .cache.writer import FORMAT, SPLITS
from .loading.batch import COMPILED_STEP, Batch, PackedBatch
from .loading.datamodule import EmbeddingDataModule, EmbeddingDataset
from .loading.preprocessing import KEPT_BYTES, BatchPreprocessor, Preprocessor
from .loading.splits import Splits, select_evaluation, split_videos
from .video_set import VideoSet

__all__ = [
    "COMPILED_STEP",
    "FORMAT",
    "KEPT_BYTES",
    "SPLITS",
    "ArrayCache",
    "Batch",
    "BatchPreprocessor",
    "EmbeddingCache",
    "EmbeddingCacheWriter",
    "EmbeddingDataModule",
    "EmbeddingDataset",
    "PackedBatch",
    "Preprocessor",
    "Splits",
    "VideoSet",
    "open_cache",
    "select_evaluation",
    "split_videos",
]
