from .annotating import annotate, choose_splits, video_names
from .base import Extractor
from .body import Points, body_size, centred_on_body, fill_in
from .clips import IMAGE_EXTENSIONS, Clip
from .embedding import embed_clips
from .extractors import embed_video, extractor_of_cache, make_extractor
from .gradients import fit_square, hog_features
from .hog import HogExtractor
from .joining import join_caches
from .listing import clips_of_folder, clips_of_list, read_list
from .merging import merge_shards
from .pool import Progress, parallel_map, usable_cores
from .recordings import embed_recording

__all__ = [
    "IMAGE_EXTENSIONS",
    "Clip",
    "Extractor",
    "HogExtractor",
    "Points",
    "Progress",
    "annotate",
    "body_size",
    "centred_on_body",
    "choose_splits",
    "clips_of_folder",
    "clips_of_list",
    "embed_clips",
    "embed_recording",
    "embed_video",
    "extractor_of_cache",
    "fill_in",
    "fit_square",
    "hog_features",
    "join_caches",
    "make_extractor",
    "merge_shards",
    "parallel_map",
    "read_list",
    "usable_cores",
    "video_names",
]
