"""An aligner fitted to the training videos of a cache."""

from tpl_lightning.aligners import build_aligner
from tpl_lightning.config import load_config
from tpl_lightning.data import EmbeddingCache, VideoSet, split_videos


def fit(path, run_dir, *options):
    """Return the fitted aligner that options name, the splits and the configuration."""
    config = load_config([f"data.cache={path}", *options])
    splits = split_videos(VideoSet(EmbeddingCache(path)), config.data)
    aligner = build_aligner(config, run_dir)
    aligner.fit(splits.train)
    return aligner, splits, config
