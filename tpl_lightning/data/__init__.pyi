from .cache.reader import EmbeddingCache, EmbeddingCacheWriter
from .cache.shards import open_cache
from .cache.writer import FORMAT, SPLITS
from .loading.batch import COMPILED_STEP, Batch, PackedBatch
from .loading.datamodule import EmbeddingDataModule
from .loading.preprocessing import BatchPreprocessor, Preprocessor
from .loading.splits import Splits, select_evaluation, split_videos
from .video_set import VideoSet

__all__ = [
    "COMPILED_STEP",
    "FORMAT",
    "SPLITS",
    "Batch",
    "BatchPreprocessor",
    "EmbeddingCache",
    "EmbeddingCacheWriter",
    "EmbeddingDataModule",
    "PackedBatch",
    "Preprocessor",
    "Splits",
    "VideoSet",
    "open_cache",
    "select_evaluation",
    "split_videos",
]
