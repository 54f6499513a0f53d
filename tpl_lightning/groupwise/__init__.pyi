from .discriminant import channel_energy as channel_energy, timing_metric as timing_metric
from .empirical_bayes import precision_factor as precision_factor
from .energy import FINE_CELLS as FINE_CELLS, chunks as chunks, in_detail as in_detail
from .fit import JointOptions as JointOptions, agreement as agreement, barycenters as barycenters, disagreement as disagreement, fit_jointly as fit_jointly, fit_to_prototypes as fit_to_prototypes, warps_from_positions as warps_from_positions
from .model import JointModel as JointModel, JointStart as JointStart

__all__ = ["FINE_CELLS", "JointModel", "JointOptions", "JointStart", "agreement", "barycenters", "channel_energy", "chunks", "disagreement", "fit_jointly", "fit_to_prototypes", "in_detail", "precision_factor", "timing_metric", "warps_from_positions"]
