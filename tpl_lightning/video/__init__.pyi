from .clock import VideoClock as VideoClock
from .decoding import FrameDecoder as FrameDecoder
from .files import VideoReader as VideoReader, check_fps as check_fps, has_pyav as has_pyav, read_frames as read_frames, read_timed_frames as read_timed_frames, shrink_to as shrink_to, write_video as write_video
from .pixels import FrameSize as FrameSize
from .prefetch import prefetched as prefetched
from .probe import VideoProbe as VideoProbe, probe_video as probe_video
from .search import VIDEO_EXTENSIONS as VIDEO_EXTENSIONS, find_videos as find_videos, is_video as is_video, left_out_text as left_out_text, note_left_out as note_left_out, search_videos as search_videos

__all__ = ["FrameDecoder", "FrameSize", "VIDEO_EXTENSIONS", "VideoClock", "VideoProbe", "VideoReader", "check_fps", "find_videos", "has_pyav", "is_video", "left_out_text", "note_left_out", "prefetched", "probe_video", "read_frames", "read_timed_frames", "search_videos", "shrink_to", "write_video"]
