"""Occurrences fitted with open ends: which frames of a recording show an action, and when each moment of it is.

A stretch that is a little longer than an occurrence is compared with the prototype by a smooth warp whose ends move
(``functional.warps.ends``). It idles before the action begins and after it ends; where the recording cuts the action,
prototype points lie before its first frame or behind its last one.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.functional.warps import num_parameters, prototype_times, video_times
from tpl_lightning.groupwise import JointOptions, fit_to_prototypes, less_offset
from tpl_lightning.recognition.actions import ActionModel

_MARGIN = 0.15  # of an occurrence, on either side
_OPTIONS = JointOptions(offset_shrinkage=1.0, ends=True, idle_cost=0.0)  # a margin is ours, and costs nothing


@dataclass(frozen=True)
class OpenFit:
    """Where stretches (M,) of a recording lie on the prototypes of their actions.

    Attributes:
        low: (M,) first frame of each stretch.
        high: (M,) frame after the last.
        theta: (M, d + 2) warps with ends.
    """

    low: np.ndarray
    high: np.ndarray
    theta: Tensor

    def frames(self, points: np.ndarray) -> np.ndarray:
        """Return the frame (M, P) of the recording, a fraction, at prototype times (M, P); before or behind, if so."""
        times = video_times(self.theta, torch.from_numpy(points).float(), num_cells=_OPTIONS.num_cells).numpy()
        return np.asarray(self.low[:, None] + times * (self.high - self.low - 1)[:, None])

    def positions(self, row: int, start: int, end: int) -> np.ndarray:
        """Return the prototype times (end - start,) of frames of a stretch."""
        times = (torch.arange(start, end) - int(self.low[row])) / max(int(self.high[row] - self.low[row]) - 1, 1)
        return prototype_times(self.theta[row : row + 1], times, num_cells=_OPTIONS.num_cells)[0].double().numpy()


def fit_open_ends(
    model: ActionModel, values: Tensor, start: np.ndarray, end: np.ndarray, action: np.ndarray, shown: np.ndarray
) -> OpenFit:
    """Fit occurrences with open ends.

    Args:
        model: The actions.
        values: (F, C) a recording, from :meth:`ActionModel.values`.
        start: (M,) first frame of each occurrence, about.
        end: (M,) frame after the last.
        action: (M,).
        shown: (M, 2) prototype times of its first and last frame.
    """
    margin = np.rint(_MARGIN * (end - start)).astype(np.int64)
    low = np.where(shown[:, 0] > 0, start, np.maximum(start - margin, 0))
    high = np.where(shown[:, 1] < 1, end, np.minimum(end + margin, len(values)))
    pace = (shown[:, 1] - shown[:, 0]) / np.maximum(end - start - 1, 1)  # of the prototype, in a frame
    ends = np.stack([shown[:, 0] - (start - low) * pace, shown[:, 1] + (high - end) * pace], axis=1)
    expected = torch.from_numpy(ends).float()
    cut = torch.cat([values[first:last] for first, last in zip(low, high, strict=True)])
    features, _ = model.on_grid(cut, torch.from_numpy(high - low))
    beside = model.beside_whole(features, expected[:, 1] - expected[:, 0])
    signal = less_offset(model.fit.space.in_metric(beside), 1.0)
    theta = torch.cat([signal.new_zeros(len(signal), num_parameters(_OPTIONS.num_cells)), expected], 1)
    rows = torch.arange(len(signal))  # each has ends of its own
    prototype = model.fit.prototype[torch.from_numpy(action)]
    theta, _ = fit_to_prototypes(signal, rows, prototype, options=_OPTIONS, theta=theta, ends=expected)
    return OpenFit(low, high, theta)
