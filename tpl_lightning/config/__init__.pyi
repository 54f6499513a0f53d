from .check import near_miss
from .fits import DirectConfig
from .loading import (
    Config,
    DataConfig,
    complete_config,
    config_to_dict,
    differences,
    is_file,
    load_config,
    load_run_config,
    save_config,
    split_argument,
    to_yaml,
)
from .packaged import find_yaml, packaged_names
from .typed import field_type, read_typed

__all__ = [
    "Config",
    "DataConfig",
    "DirectConfig",
    "complete_config",
    "config_to_dict",
    "differences",
    "field_type",
    "find_yaml",
    "is_file",
    "load_config",
    "load_run_config",
    "near_miss",
    "packaged_names",
    "read_typed",
    "save_config",
    "split_argument",
    "to_yaml",
]
