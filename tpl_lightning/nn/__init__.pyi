from .dmtae import Autoencoder as Autoencoder, DMTAE as DMTAE, DMTAEOutput as DMTAEOutput, PathDMTAE as PathDMTAE
from .dtan import DTAN as DTAN, DTANOutput as DTANOutput
from .encoders import LinearEncoder as LinearEncoder, PerAction as PerAction
from .heads import EmbeddingHead as EmbeddingHead
from .inception import InceptionTime as InceptionTime
from .path_aligner import COARSE as COARSE, DETAIL as DETAIL, PathOptions as PathOptions
from .tcn import TCN as TCN
from .warp_network import WarpNetwork as WarpNetwork

__all__ = ["Autoencoder", "COARSE", "DETAIL", "DMTAE", "DMTAEOutput", "DTAN", "DTANOutput", "EmbeddingHead", "InceptionTime", "LinearEncoder", "PathDMTAE", "PathOptions", "PerAction", "TCN", "WarpNetwork"]
