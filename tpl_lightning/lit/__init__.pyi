from .callbacks import IcaeWeightAnnealing as IcaeWeightAnnealing, PrototypeBuilder as PrototypeBuilder
from .diagnosis import Diagnosis as Diagnosis, in_words as in_words
from .dtan import DTANModule as DTANModule
from .heads import HeadModule as HeadModule
from .module import AlignmentModule as AlignmentModule, TPLModule as TPLModule
from .path_module import PathTPLModule as PathTPLModule
from .trainer import check_trainer_options as check_trainer_options, join_ranks as join_ranks, train as train

__all__ = ["AlignmentModule", "DTANModule", "Diagnosis", "HeadModule", "IcaeWeightAnnealing", "PathTPLModule", "PrototypeBuilder", "TPLModule", "check_trainer_options", "in_words", "join_ranks", "train"]
