from .callbacks import IcaeWeightAnnealing, PrototypeBuilder
from .diagnosis import Diagnosis, in_words
from .dtan import DTANModule
from .heads import HeadModule
from .module import AlignmentModule, TPLModule
from .path_module import PathTPLModule
from .trainer import check_trainer_options, join_ranks, train

__all__ = [
    "AlignmentModule",
    "DTANModule",
    "Diagnosis",
    "HeadModule",
    "IcaeWeightAnnealing",
    "PathTPLModule",
    "PrototypeBuilder",
    "TPLModule",
    "check_trainer_options",
    "in_words",
    "join_ranks",
    "train",
]
