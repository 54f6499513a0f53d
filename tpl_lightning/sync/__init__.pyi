from .clips import Clip, open_clips
from .clock import make_clock
from .contact_sheet import draw_sheet, find_matches
from .grid import Grid
from .label_files import label_targets, write_labels
from .layout import plan_layout
from .phases import Phases, phases_of_run
from .preview import write_preview
from .separate import counted, separate_targets, write_separate
from .style import phase_colors, to_hex
from .transfer import carry_labels, phases_of_annotations

__all__ = [
    "Clip",
    "Grid",
    "Phases",
    "carry_labels",
    "counted",
    "draw_sheet",
    "find_matches",
    "label_targets",
    "make_clock",
    "open_clips",
    "phase_colors",
    "phases_of_annotations",
    "phases_of_run",
    "plan_layout",
    "separate_targets",
    "to_hex",
    "write_labels",
    "write_preview",
    "write_separate",
]
