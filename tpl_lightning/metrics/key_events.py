"""Key-event spread."""

from typing import Any

import torch
from torch import Tensor

from tpl_lightning.functional import Float, Int
from tpl_lightning.functional.scores import key_event_moments, spread_from_moments
from tpl_lightning.metrics.base import SumMetric


class KeyEventSpread(SumMetric):
    """How far apart on the prototype timeline equal key events fall.

    The population standard deviation over the videos of the prototype time at which phase k >= 1 begins, averaged
    over all (action, k) that at least two videos have. Finer than CBC; lower is better.

    Args:
        num_actions: A.
        num_phases: K, the largest number of phases of an action.
        **kwargs: Passed on to :class:`torchmetrics.Metric`.

    Attributes:
        count: (A, K) int64, videos that have the event.
        total: (A, K) float64, sum of its prototype times.
        squares: (A, K) float64, sum of their squares.

    Example:
        >>> from tpl_lightning.metrics import KeyEventSpread
        >>> metric = KeyEventSpread(num_actions=1, num_phases=2)
        >>> line = torch.linspace(0, 1, 4).repeat(2, 1)
        >>> labels = torch.tensor([[0, 0, 1, 1], [0, 1, 1, 1]])
        >>> lengths, action = torch.tensor([4, 4]), torch.zeros(2, dtype=torch.long)
        >>> metric.update(line, labels, lengths, action)  # phase 1 begins at 2/3 and at 1/3
        >>> metric.compute()
        tensor(0.1667, dtype=torch.float64)
    """

    higher_is_better = False
    plot_lower_bound = 0.0

    count: Tensor
    total: Tensor
    squares: Tensor

    def __init__(self, *, num_actions: int, num_phases: int, **kwargs: Any) -> None:
        """Start with empty sums."""
        super().__init__(**kwargs)
        self.num_actions, self.num_phases = num_actions, num_phases
        self._add_sum("count", num_actions, num_phases, dtype=torch.int64)
        self._add_sum("total", num_actions, num_phases, dtype=torch.float64)
        self._add_sum("squares", num_actions, num_phases, dtype=torch.float64)

    def update(
        self,
        position: Float[Tensor, "B T"],
        labels: Int[Tensor, "B T"],
        lengths: Int[Tensor, "B"],
        action: Int[Tensor, "B"],
    ) -> None:
        """Add a batch of videos.

        Args:
            position: (B, T) prototype time of each frame, T^-theta(u / (L_i - 1)).
            labels: (B, T) phase of each frame in [0, K), -1 unlabelled.
            lengths: (B,) frames of each video.
            action: (B,) index of each video's action.
        """
        count, total, squares = key_event_moments(
            position, labels, lengths, action, num_actions=self.num_actions, num_phases=self.num_phases
        )
        self.count = self.count + count
        self.total = self.total + total
        self.squares = self.squares + squares

    def compute(self) -> Float[Tensor, ""]:
        """Return the mean over all actions and events, a scalar; NaN where no two videos share an event."""
        return spread_from_moments(self.count, self.total, self.squares).nanmean()

    def per_action(self) -> Float[Tensor, "A"]:
        """Return the mean over the events of each action, (A,); NaN where no two of its videos share an event.

        Like ``compute``, over the videos of all processes, so every process must call it.
        """
        with self._all_ranks():
            return spread_from_moments(self.count, self.total, self.squares).nanmean(1)
