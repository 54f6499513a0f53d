from .actions import ACTIONS, PHASE_NAMES
from .build import build_procedural_set, video_paths
from .clips import ClipSpec, RenderedClip, clip_specs, render_clip
from .recordings import RecordingSpec, build_recordings, plan_recording, recording_paths, render_recording

__all__ = [
    "ACTIONS",
    "PHASE_NAMES",
    "ClipSpec",
    "RecordingSpec",
    "RenderedClip",
    "build_procedural_set",
    "build_recordings",
    "clip_specs",
    "plan_recording",
    "recording_paths",
    "render_clip",
    "render_recording",
    "video_paths",
]
