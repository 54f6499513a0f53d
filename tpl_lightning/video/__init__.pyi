from .clock import VideoClock
from .decoding import FrameDecoder
from .files import VideoReader, check_fps, has_pyav, read_timed_frames, shrink_to, write_video
from .pixels import FrameSize
from .prefetch import prefetched
from .probe import VideoProbe, probe_video
from .search import (
    VIDEO_EXTENSIONS,
    check_video_file,
    collect_files,
    find_videos,
    is_video,
    left_out_text,
    note_left_out,
    search_videos,
)

__all__ = [
    "VIDEO_EXTENSIONS",
    "FrameDecoder",
    "FrameSize",
    "VideoClock",
    "VideoProbe",
    "VideoReader",
    "check_fps",
    "check_video_file",
    "collect_files",
    "find_videos",
    "has_pyav",
    "is_video",
    "left_out_text",
    "note_left_out",
    "prefetched",
    "probe_video",
    "read_timed_frames",
    "search_videos",
    "shrink_to",
    "write_video",
]
