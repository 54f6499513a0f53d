from .broken import report_broken as report_broken
from .checkpoint import as_checkpoint as as_checkpoint, check_same_cache as check_same_cache, first_epoch as first_epoch, load_state as load_state, read_checkpoint as read_checkpoint, save_state as save_state, training_checkpoint as training_checkpoint
from .locks import writer_of as writer_of
from .names import canonical as canonical, file_stem as file_stem, one_line as one_line, unique_stems as unique_stems, xml_text as xml_text
from .outputs import Outputs as Outputs, made_here as made_here
from .tfrecord import iter_records as iter_records, read_record as read_record

__all__ = ["Outputs", "as_checkpoint", "canonical", "check_same_cache", "file_stem", "first_epoch", "iter_records", "load_state", "made_here", "one_line", "read_checkpoint", "read_record", "report_broken", "save_state", "training_checkpoint", "unique_stems", "writer_of", "xml_text"]
