from .clips import Clip as Clip, IMAGE_EXTENSIONS as IMAGE_EXTENSIONS, annotate as annotate, choose_splits as choose_splits, clips_of_folder as clips_of_folder, clips_of_list as clips_of_list, read_list as read_list, video_names as video_names
from .embedding import embed_clips as embed_clips, merge_shards as merge_shards
from .extractors import embed_video as embed_video, extractor_of_cache as extractor_of_cache, make_extractor as make_extractor
from .hog import HogExtractor as HogExtractor, fit_square as fit_square, hog_features as hog_features
from .pool import Progress as Progress, parallel_map as parallel_map, usable_cores as usable_cores

__all__ = ["Clip", "HogExtractor", "IMAGE_EXTENSIONS", "Progress", "annotate", "choose_splits", "clips_of_folder", "clips_of_list", "embed_clips", "embed_video", "extractor_of_cache", "fit_square", "hog_features", "make_extractor", "merge_shards", "parallel_map", "read_list", "usable_cores", "video_names"]
