from .dmtae import DMTAE, Autoencoder, DMTAEOutput, PathDMTAE
from .dtan import DTAN, DTANOutput
from .encoders import LinearEncoder, PerAction
from .heads import EmbeddingHead
from .inception import InceptionTime
from .path_aligner import COARSE, DETAIL, PathOptions
from .tcn import TCN
from .warp_network import WarpNetwork

__all__ = [
    "COARSE",
    "DETAIL",
    "DMTAE",
    "DTAN",
    "TCN",
    "Autoencoder",
    "DMTAEOutput",
    "DTANOutput",
    "EmbeddingHead",
    "InceptionTime",
    "LinearEncoder",
    "PathDMTAE",
    "PathOptions",
    "PerAction",
    "WarpNetwork",
]
