"""What the metrics share: states that are plain sums, and labels of prototypes."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from torchmetrics import Metric

from tpl_lightning.functional import Float, Int
from tpl_lightning.functional.scores import agreement_sum, label_shares, prototype_labels, prototype_votes


class SumMetric(Metric):
    """A metric whose states are sums over videos, so processes with unequal numbers of videos join exactly.

    Casting a module (``.half()``, ``.to(torch.bfloat16)``) moves the states but leaves their types alone: sums in
    float64 stay so.
    """

    full_state_update = False
    is_differentiable = False

    def _add_sum(self, name: str, *shape: int, dtype: torch.dtype) -> None:
        self.add_state(name, torch.zeros(shape, dtype=dtype), dist_reduce_fx="sum")

    def _stand_apart(self) -> None:
        """Keep the states from being shared with another metric of a ``MetricCollection``.

        A collection lets metrics share states that were equal after the first update. Here more is added outside of
        ``update``, and may come later. NaN equals nothing, not even itself.
        """
        self.add_state("apart", torch.tensor(torch.nan), dist_reduce_fx="sum")

    def _apply(self, fn: Callable[[Tensor], Tensor], exclude_state: Sequence[str] = "") -> Module:
        return super()._apply(lambda tensor: fn(tensor).to(tensor.dtype), exclude_state)

    @contextmanager
    def _all_ranks(self) -> Iterator[None]:
        """Hold the sums of all processes while the block runs, then put those of this one back."""
        joined = self._is_synced  # by the caller, or because compute() is running
        with self.sync_context(
            dist_sync_fn=self.dist_sync_fn, should_sync=self._to_sync and not joined, should_unsync=not joined
        ):
            yield

    def sync_if_needed(self) -> None:
        """Replace the states by the sums over all processes; nothing happens in a single one or when done already.

        Every process must call it. ``unsync()`` puts the process's own states back, ``reset()`` empties them.
        """
        self.sync(dist_sync_fn=self.dist_sync_fn, should_sync=self._to_sync and not self._is_synced)


class PrototypeLabelMetric(SumMetric):
    """Votes for the labels of the prototypes, and label shares of the frames that face each prototype point.

    Args:
        num_actions: A.
        num_phases: K, the largest number of phases of an action.
        max_length: P, points of the longest prototype.
        **kwargs: Passed on to :class:`torchmetrics.Metric`.

    Attributes:
        votes: (A, P, K) int64, see :func:`~tpl_lightning.functional.scores.phases.prototype_votes`.
        shares: (A, P, K) float64, see :func:`~tpl_lightning.functional.scores.phases.label_shares`.
        videos: (A,) int64, videos with a labelled frame.
    """

    higher_is_better = True
    plot_lower_bound = 0.0
    plot_upper_bound = 1.0

    votes: Tensor
    shares: Tensor
    videos: Tensor

    def __init__(self, *, num_actions: int, num_phases: int, max_length: int, **kwargs: Any) -> None:
        """Start with empty sums."""
        super().__init__(**kwargs)
        self.num_actions, self.num_phases, self.max_length = num_actions, num_phases, max_length
        self._add_sum("votes", num_actions, max_length, num_phases, dtype=torch.int64)
        self._add_sum("shares", num_actions, max_length, num_phases, dtype=torch.float64)
        self._add_sum("videos", num_actions, dtype=torch.int64)

    @property
    def _sizes(self) -> dict[str, int]:
        return {"num_actions": self.num_actions, "num_phases": self.num_phases, "max_length": self.max_length}

    def _add_votes(
        self, labels: Tensor, lengths: Tensor, action: Tensor, source_position: Tensor, prototype_length: Tensor
    ) -> None:
        # Not in place: a state that was reset in inference mode may not be changed outside of it.
        self.votes = self.votes + prototype_votes(
            labels, lengths, action, source_position, prototype_length, **self._sizes
        )

    def _add_shares(
        self, position: Tensor, labels: Tensor, lengths: Tensor, action: Tensor, prototype_length: Tensor
    ) -> None:
        shares, videos = label_shares(position, labels, lengths, action, prototype_length, **self._sizes)
        self.shares = self.shares + shares
        self.videos = self.videos + videos

    def _scores(self) -> tuple[Tensor, Tensor]:
        """Return the sum of the videos' scores and the number of videos, each (A,)."""
        return agreement_sum(self.shares, prototype_labels(self.votes)), self.videos

    def compute(self) -> Float[Tensor, ""]:
        """Return the mean over the scored videos, a scalar; NaN if there are none."""
        agreement, videos = self._scores()
        return agreement.sum() / videos.sum()

    def per_action(self) -> Float[Tensor, "A"]:
        """Return the mean over the videos of each action, (A,); NaN for an action without scored videos.

        Like ``compute``, over the videos of all processes, so every process must call it.
        """
        with self._all_ranks():
            agreement, videos = self._scores()
            return agreement / videos

    def prototype_labels(self) -> Int[Tensor, "A P"]:
        """Return the labels of the prototypes, (A, P) int64, -1 where no video voted. Every process must call it."""
        with self._all_ranks():
            return prototype_labels(self.votes)
