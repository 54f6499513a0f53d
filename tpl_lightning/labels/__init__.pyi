from .annotations import Annotations, PhaseSpans, doubt_of, read_annotations, spans_of_labels, warn_of_names
from .tables import TableRow, read_fps, read_table

__all__ = [
    "Annotations",
    "PhaseSpans",
    "TableRow",
    "doubt_of",
    "read_annotations",
    "read_fps",
    "read_table",
    "spans_of_labels",
    "warn_of_names",
]
