"""Videos for a machine that has none: an articulated figure does five exercises at a random tempo, with exact ground truth."""

from tpl_lightning.data.procedural.actions import ACTIONS, PHASE_NAMES
from tpl_lightning.data.procedural.clips import ClipSpec, RenderedClip, clip_specs, render_clip

__all__ = ["ACTIONS", "PHASE_NAMES", "ClipSpec", "RenderedClip", "clip_specs", "render_clip"]
