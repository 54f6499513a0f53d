from .annotations import Annotations
from .doubts import Doubts, doubt_of, warn_of_names
from .occurrences import OCCURRENCE_COLUMNS, Occurrence, read_occurrences, write_occurrences
from .reading import read_annotations
from .spans import PhaseSpans, numbered_phases, spans_of_labels
from .tables import TableRow, column_name, read_cells, read_fps, read_seconds, read_table

__all__ = [
    "OCCURRENCE_COLUMNS",
    "Annotations",
    "Doubts",
    "Occurrence",
    "PhaseSpans",
    "TableRow",
    "column_name",
    "doubt_of",
    "numbered_phases",
    "read_annotations",
    "read_cells",
    "read_fps",
    "read_occurrences",
    "read_seconds",
    "read_table",
    "spans_of_labels",
    "warn_of_names",
    "write_occurrences",
]
