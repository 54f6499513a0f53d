from .cache.arrays import ArrayCache
from .cache.groups import (
    ALIASES,
    FeatureGroup,
    State,
    group_name,
    join_states,
    part_states,
    unique_names,
    usable_groups,
    warn_of_still,
)
from .cache.layout import FORMAT, SPLITS
from .cache.reader import EmbeddingCache, open_cache
from .cache.writer import EmbeddingCacheWriter
from .loading.batch import COMPILED_STEP, Batch, PackedBatch
from .loading.datamodule import EmbeddingDataModule, EmbeddingDataset
from .loading.preprocessing import KEPT_BYTES, Preprocessor
from .loading.splits import Splits, select_evaluation, split_videos
from .video_set import VideoSet

__all__ = [
    "ALIASES",
    "COMPILED_STEP",
    "FORMAT",
    "KEPT_BYTES",
    "SPLITS",
    "ArrayCache",
    "Batch",
    "EmbeddingCache",
    "EmbeddingCacheWriter",
    "EmbeddingDataModule",
    "EmbeddingDataset",
    "FeatureGroup",
    "PackedBatch",
    "Preprocessor",
    "Splits",
    "State",
    "VideoSet",
    "group_name",
    "join_states",
    "open_cache",
    "part_states",
    "select_evaluation",
    "split_videos",
    "unique_names",
    "usable_groups",
    "warn_of_still",
]
