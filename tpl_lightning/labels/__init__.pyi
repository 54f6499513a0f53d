from .annotations import Annotations as Annotations, PhaseSpans as PhaseSpans, doubt_of as doubt_of, read_annotations as read_annotations, spans_of_labels as spans_of_labels, warn_of_names as warn_of_names
from .tables import TableRow as TableRow, read_fps as read_fps, read_table as read_table

__all__ = ["Annotations", "PhaseSpans", "TableRow", "doubt_of", "read_annotations", "read_fps", "read_table", "spans_of_labels", "warn_of_names"]
