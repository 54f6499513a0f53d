from .fits import DirectConfig as DirectConfig
from .loading import Config as Config, DataConfig as DataConfig, complete_config as complete_config, config_to_dict as config_to_dict, differences as differences, is_file as is_file, load_config as load_config, load_run_config as load_run_config, save_config as save_config, split_argument as split_argument, to_yaml as to_yaml
from .packaged import find_yaml as find_yaml, packaged_names as packaged_names
from .typed import field_type as field_type, read_typed as read_typed

__all__ = ["Config", "DataConfig", "DirectConfig", "complete_config", "config_to_dict", "differences", "field_type", "find_yaml", "is_file", "load_config", "load_run_config", "packaged_names", "read_typed", "save_config", "split_argument", "to_yaml"]
