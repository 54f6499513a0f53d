"""Options of the direct fit, coarse or in full detail, and whether detail is worth it."""

from collections.abc import Callable

from torch import Tensor

from tpl_lightning.functional.joint import JointOptions, agreement
from tpl_lightning.functional.joint_model import SpaceOptions, in_detail
from tpl_lightning.functional.timing_space import channel_energy
from tpl_lightning.options.fits import DirectConfig

__all__ = ["FINE_GRID", "detail_pays", "joint_options"]

FINE_GRID = 512
"""Points of the shared grid for warps in full detail."""
_STILL = 1e-6  # of the variance of the channel that changes most: with less, a channel says nothing
_WORTH_IT = 0.03  # of agreement in held-out channels that detail has to bring


def joint_options(
    direct: DirectConfig, *, num_cells: int, fine: bool, adapt: bool = True
) -> tuple[JointOptions, SpaceOptions]:
    """Return how warps are fitted, and how the space is made in which they are.

    Args:
        direct: What the configuration says.
        num_cells: Of the warps.
        fine: In full detail, see ``functional.joint_model.in_detail``.
        adapt: Whether the prior is adapted as configured, or not at all.
    """
    options = JointOptions(
        num_cells=num_cells,
        smoothness=direct.smoothness,
        stages=tuple(direct.stages),
        level_freedom=direct.level_freedom,
        leave_one_out=direct.leave_one_out,
        sharpen=direct.sharpen,
    )
    space = SpaceOptions(
        derivative=direct.derivative,
        sigma=direct.derivative_sigma,
        metric=direct.metric,
        metric_channels=direct.metric_channels,
        first_smoothness=direct.first_smoothness,
        path_rounds=direct.paths,
        adapt=direct.adapt if adapt else 0.0,
        joint_videos=direct.joint_videos,
    )
    return in_detail(options, space) if fine else (options, space)


def detail_pays(features: Tensor, action: Tensor, fit: Callable[[Tensor, bool], Tensor], *, num_actions: int) -> bool:
    """Tell whether warps in full detail are worth it, without labels.

    They are where warps that are fitted to half of the channels align the other half, which had no say in them, clearly
    better than coarse warps do. What fits noise in the one is of no use in the other.

    Args:
        features: (N, G, C) on the shared grid.
        action: (N,).
        fit: Fits coarse warps, or such in detail (True), to some channels (N, G, C'): T^theta (N, G).
        num_actions: A.
    """
    change = channel_energy(features)
    features = features[..., change > _STILL * change.max()]
    if features.shape[2] < 2:
        return False
    gain = 0.0
    for fitted, held_out in ((0, 1), (1, 0)):
        half, other = features[..., fitted::2].contiguous(), features[..., held_out::2]
        for fine in (False, True):
            found = agreement(other, fit(half, fine), action, num_actions=num_actions)
            gain += found / 2 if fine else -found / 2
    return gain > _WORTH_IT
