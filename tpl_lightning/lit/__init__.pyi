from .callbacks import IcaeWeightAnnealing, PrototypeBuilder
from .checkpoints import StepSeeds
from .diagnosis import Diagnosis, in_words
from .dtan import DTANModule
from .epochs import with_epochs
from .heads import HeadModule
from .module import AlignmentModule, TPLModule
from .path_module import PathTPLModule
from .trainer import join_ranks, train, training_callbacks
from .trainer_options import check_trainer_options

__all__ = [
    "AlignmentModule",
    "DTANModule",
    "Diagnosis",
    "HeadModule",
    "IcaeWeightAnnealing",
    "PathTPLModule",
    "PrototypeBuilder",
    "StepSeeds",
    "TPLModule",
    "check_trainer_options",
    "in_words",
    "join_ranks",
    "train",
    "training_callbacks",
    "with_epochs",
]
