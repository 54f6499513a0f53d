"""A data module as `tpl fit` builds it."""

from tpl_lightning.config.runs import DataConfig
from tpl_lightning.data.loading.datamodule import EmbeddingDataModule
from tpl_lightning.data.loading.preprocessing import Preprocessor
from tpl_lightning.data.loading.splits import split_videos
from tpl_lightning.data.video_set import VideoSet


def module_of(cache, **options):
    data = DataConfig(**options)
    splits = split_videos(VideoSet(cache), data)
    return EmbeddingDataModule(splits, Preprocessor.fit(splits.train, data), ["jump", "turn"], data, seed=3)
