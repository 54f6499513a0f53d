from .broken import report_broken
from .checkpoint import (
    as_checkpoint,
    check_same_cache,
    first_epoch,
    load_state,
    read_checkpoint,
    save_state,
    training_checkpoint,
)
from .locks import writer_of
from .names import canonical, file_stem, one_line, unique_stems, xml_text
from .outputs import Outputs, made_here
from .tfrecord import Record, iter_records, read_record
from .whole import check_room, remove_left, temporary_name, whole_file, write_atomically

__all__ = [
    "Outputs",
    "Record",
    "as_checkpoint",
    "canonical",
    "check_room",
    "check_same_cache",
    "file_stem",
    "first_epoch",
    "iter_records",
    "load_state",
    "made_here",
    "one_line",
    "read_checkpoint",
    "read_record",
    "remove_left",
    "report_broken",
    "save_state",
    "temporary_name",
    "training_checkpoint",
    "unique_stems",
    "whole_file",
    "write_atomically",
    "writer_of",
    "xml_text",
]
