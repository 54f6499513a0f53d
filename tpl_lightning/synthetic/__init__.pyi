from .actions import ACTIONS, PHASE_NAMES
from .build import build_procedural_set, video_paths
from .clips import ClipSpec, RenderedClip, clip_specs, render_clip

__all__ = [
    "ACTIONS",
    "PHASE_NAMES",
    "ClipSpec",
    "RenderedClip",
    "build_procedural_set",
    "clip_specs",
    "render_clip",
    "video_paths",
]
