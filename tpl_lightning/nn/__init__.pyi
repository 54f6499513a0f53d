from .autoencoder import Autoencoder
from .dmtae import DMTAE, DMTAEOutput
from .dtan import DTAN, DTANOutput
from .encoders import LinearEncoder, PerAction
from .heads import EmbeddingHead
from .inception import InceptionTime
from .path_aligner import COARSE, DETAIL, PathOptions
from .path_dmtae import PathDMTAE
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
