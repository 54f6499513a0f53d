"""What the metrics on embeddings share: they keep the frames of all videos, in states that processes can join."""

from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from tpl_lightning.functional import Float, Int, length_mask
from tpl_lightning.functional.scores import VideoRows
from tpl_lightning.metrics.base import SumMetric


class VideoMetric(SumMetric):
    """A mean over scores that can only be had from the frames of all videos.

    Ragged videos are kept as flat rows and lengths: when processes join, rows are put one after the other whatever
    their number, while padded videos would have to agree in length. A process without videos adds no rows, but of
    the right shape and type, which joining needs. Videos are known by number: order does not matter, and a video that
    two processes have seen (samplers repeat some to fill up a last batch) counts once.

    Args:
        num_actions: A.
        num_channels: C.
        groups: Names of the sets of videos that are kept apart.
        **kwargs: Passed on to :class:`torchmetrics.Metric`.
    """

    higher_is_better = True
    plot_upper_bound = 1.0

    def __init__(self, *, num_actions: int, num_channels: int, groups: tuple[str, ...], **kwargs: Any) -> None:
        """Start without videos."""
        super().__init__(**kwargs)
        self.num_actions, self.num_channels = num_actions, num_channels
        self._empty: dict[str, Tensor] = {}
        for group in groups:
            self._add_rows(f"{group}_frames", torch.zeros(0, num_channels))
            for name in ("labels", "lengths", "action", "index"):
                self._add_rows(f"{group}_{name}", torch.zeros(0, dtype=torch.int64))

    def _add_rows(self, name: str, empty: Tensor) -> None:
        self._empty[name] = empty
        self.add_state(name, [], dist_reduce_fx="cat")

    def _sync_dist(self, *args: Any, **kwargs: Any) -> None:
        for name, empty in self._empty.items():
            if isinstance(getattr(self, name), list):  # unsync puts back what was there before
                setattr(self, name, [*getattr(self, name), empty.to(self.device)])
        super()._sync_dist(*args, **kwargs)

    def _append(
        self,
        group: str,
        embeddings: Tensor,
        lengths: Tensor,
        action: Tensor,
        video_index: Tensor,
        labels: Tensor | None = None,
    ) -> None:
        if embeddings.dim() != 3 or embeddings.shape[-1] != self.num_channels:
            raise ValueError(
                f"Expected `embeddings` of shape (B, T, {self.num_channels} channels), but got "
                f"{tuple(embeddings.shape)}."
            )
        mask = length_mask(lengths, embeddings.shape[1])
        labels = torch.full_like(mask, -1, dtype=torch.int64) if labels is None else labels
        rows = {
            "frames": embeddings[mask].detach().float(),
            "labels": labels[mask],
            "lengths": lengths,
            "action": action,
            "index": video_index,
        }
        for name, values in rows.items():
            state = f"{group}_{name}"
            getattr(self, state).append(values.to(self._empty[state].dtype))

    def _videos(self, group: str) -> VideoRows:
        """Return the videos of a group, sorted by number and without repetitions."""

        def joined(name: str) -> Tensor:
            state = getattr(self, f"{group}_{name}")
            return dim_zero_cat(state) if len(state) else self._empty[f"{group}_{name}"].to(self.device)

        index, lengths = joined("index"), joined("lengths")
        number, order = index.sort(stable=True)
        order = order[torch.diff(number, prepend=number[:1] - 1) != 0]
        start = (lengths.cumsum(0) - lengths)[order]
        lengths = lengths[order]
        within = torch.arange(int(lengths.sum()), device=self.device)
        within = within - torch.repeat_interleave(lengths.cumsum(0) - lengths, lengths)
        row = torch.repeat_interleave(start, lengths) + within
        return VideoRows(joined("frames")[row], joined("labels")[row], lengths, joined("action")[order])

    @abstractmethod
    def _totals(self) -> tuple[Tensor, Tensor]:
        """Return the sum of the scores and their number, each (A,), float64 and int64."""

    def totals(self) -> tuple[Float[Tensor, "A"], Int[Tensor, "A"]]:
        """Return the sum of the scores of each action and their number, each (A,). Every process must call it."""
        with self._all_ranks():
            return self._totals()

    def compute(self) -> Float[Tensor, ""]:
        """Return the mean of all scores, a scalar float64; NaN if there are none."""
        total, count = self._totals()
        return total.sum() / count.sum()

    def per_action(self) -> Float[Tensor, "A"]:
        """Return the mean of each action's scores, (A,); NaN where there are none. Every process must call it."""
        total, count = self.totals()
        return total / count
