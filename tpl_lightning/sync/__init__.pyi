from .clips import Clip, open_clips
from .clock import make_clock
from .contact_sheet import draw_sheet, find_matches
from .grid import Grid, elapsed
from .label_files import label_targets, write_labels
from .layout import plan_layout
from .occurrences import Recording, find_occurrences, find_recordings, write_segments
from .phases import Phases, phases_of_run
from .preview import write_preview
from .progress import check_progress_target, write_progress
from .separate import separate_targets, write_separate
from .style import phase_colors, to_hex
from .timeline import draw_timeline
from .transfer import carry_labels, phases_of_annotations

__all__ = [
    "Clip",
    "Grid",
    "Phases",
    "Recording",
    "carry_labels",
    "check_progress_target",
    "draw_sheet",
    "draw_timeline",
    "elapsed",
    "find_matches",
    "find_occurrences",
    "find_recordings",
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
    "write_progress",
    "write_segments",
    "write_separate",
]
