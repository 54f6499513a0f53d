from .clips import Clip as Clip, open_clips as open_clips
from .clock import make_clock as make_clock
from .contact_sheet import draw_sheet as draw_sheet, find_matches as find_matches
from .grid import Grid as Grid
from .label_files import label_targets as label_targets, write_labels as write_labels
from .layout import plan_layout as plan_layout
from .phases import Phases as Phases, phases_of_run as phases_of_run
from .preview import write_preview as write_preview
from .separate import counted as counted, separate_targets as separate_targets, write_separate as write_separate
from .style import phase_colors as phase_colors, to_hex as to_hex
from .transfer import carry_labels as carry_labels, phases_of_annotations as phases_of_annotations

__all__ = ["Clip", "Grid", "Phases", "carry_labels", "counted", "draw_sheet", "find_matches", "label_targets", "make_clock", "open_clips", "phase_colors", "phases_of_annotations", "phases_of_run", "plan_layout", "separate_targets", "to_hex", "write_labels", "write_preview", "write_separate"]
