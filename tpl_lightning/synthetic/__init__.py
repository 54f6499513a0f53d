"""Videos for a machine that has none: a figure does five exercises at a random tempo; the truth is known."""

from tpl_lightning.synthetic.actions import ACTIONS, PHASE_NAMES
from tpl_lightning.synthetic.clips import ClipSpec, RenderedClip, clip_specs, render_clip

__all__ = ["ACTIONS", "PHASE_NAMES", "ClipSpec", "RenderedClip", "clip_specs", "render_clip"]
