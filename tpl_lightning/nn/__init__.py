"""Networks: plain nn.Modules, no Lightning."""

from tpl_lightning.nn.dmtae import DMTAE, DMTAEOutput
from tpl_lightning.nn.inception import InceptionTime
from tpl_lightning.nn.tcn import TCN

__all__ = ["DMTAE", "TCN", "DMTAEOutput", "InceptionTime"]
