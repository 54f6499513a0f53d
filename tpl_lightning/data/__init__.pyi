from .cache.reader import EmbeddingCache as EmbeddingCache, EmbeddingCacheWriter as EmbeddingCacheWriter
from .cache.shards import open_cache as open_cache
from .cache.writer import FORMAT as FORMAT, SPLITS as SPLITS
from .loading.batch import Batch as Batch, COMPILED_STEP as COMPILED_STEP, PackedBatch as PackedBatch
from .loading.datamodule import EmbeddingDataModule as EmbeddingDataModule
from .loading.preprocessing import BatchPreprocessor as BatchPreprocessor, Preprocessor as Preprocessor
from .loading.splits import Splits as Splits, select_evaluation as select_evaluation, split_videos as split_videos
from .video_set import VideoSet as VideoSet

__all__ = ["Batch", "BatchPreprocessor", "COMPILED_STEP", "EmbeddingCache", "EmbeddingCacheWriter", "EmbeddingDataModule", "FORMAT", "PackedBatch", "Preprocessor", "SPLITS", "Splits", "VideoSet", "open_cache", "select_evaluation", "split_videos"]
