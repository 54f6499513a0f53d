from .actions import ACTIONS as ACTIONS, PHASE_NAMES as PHASE_NAMES
from .build import build_procedural_set as build_procedural_set, video_paths as video_paths
from .clips import ClipSpec as ClipSpec, RenderedClip as RenderedClip, clip_specs as clip_specs, render_clip as render_clip

__all__ = ["ACTIONS", "ClipSpec", "PHASE_NAMES", "RenderedClip", "build_procedural_set", "clip_specs", "render_clip", "video_paths"]
