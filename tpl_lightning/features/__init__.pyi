from .clips import (
    IMAGE_EXTENSIONS,
    Clip,
    annotate,
    choose_splits,
    clips_of_folder,
    clips_of_list,
    read_list,
    video_names,
)
from .embedding import embed_clips, merge_shards
from .extractors import embed_video, extractor_of_cache, make_extractor
from .hog import HogExtractor, fit_square, hog_features
from .pool import Progress, parallel_map, usable_cores

__all__ = [
    "IMAGE_EXTENSIONS",
    "Clip",
    "HogExtractor",
    "Progress",
    "annotate",
    "choose_splits",
    "clips_of_folder",
    "clips_of_list",
    "embed_clips",
    "embed_video",
    "extractor_of_cache",
    "fit_square",
    "hog_features",
    "make_extractor",
    "merge_shards",
    "parallel_map",
    "read_list",
    "usable_cores",
    "video_names",
]
