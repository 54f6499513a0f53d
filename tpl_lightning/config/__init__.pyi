from .check import check_limits, near_miss
from .fits import DirectConfig
from .loading import is_file, load_config, load_yaml, read_yaml, split_argument
from .runs import DataConfig
from .stored import changed, complete_config, differences, load_run_config, save_config, to_yaml
from .tree import Config, config_to_dict, flattened, nested
from .typed import field_type, read_typed

__all__ = [
    "Config",
    "DataConfig",
    "DirectConfig",
    "changed",
    "check_limits",
    "complete_config",
    "config_to_dict",
    "differences",
    "field_type",
    "flattened",
    "is_file",
    "load_config",
    "load_run_config",
    "load_yaml",
    "near_miss",
    "nested",
    "read_typed",
    "read_yaml",
    "save_config",
    "split_argument",
    "to_yaml",
]
