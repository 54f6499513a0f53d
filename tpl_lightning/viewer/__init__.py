"""A page on which the videos of a run are looked at in step."""

from tpl_lightning.viewer.build import build_page

__all__ = ["build_page"]
