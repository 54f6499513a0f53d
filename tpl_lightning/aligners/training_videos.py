"""Training videos as the joint fit takes them: features on a shared grid, actions by number, warps to start from."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from tpl_lightning.aligners.base import Aligner
from tpl_lightning.aligners.frames import FrameReader
from tpl_lightning.aligners.prior_choice import held_out_scores
from tpl_lightning.config import Config
from tpl_lightning.data import VideoSet
from tpl_lightning.evaluation import faced_positions, prototype_grid
from tpl_lightning.functional import compute_device
from tpl_lightning.functional.warps import prototype_times, video_times
from tpl_lightning.groupwise import (
    JointOptions,
    JointStart,
    chunks,
    enough_of_each,
    in_detail,
    warps_from_positions,
)

GRID_LIMITS = (128, 160)
"""Fewest and most points of the shared grid: warps of few cells are fitted to signals smoothed to at most so many."""
FINE_GRID = 512
"""Points of the shared grid for warps in full detail."""
_TOGETHER = 64  # videos whose times are warped in one call


def action_codes(videos: VideoSet, metadata: dict[str, Any]) -> Tensor:
    """Return the number of each video's action among those of the training set, (N,)."""
    code = {a: i for i, a in enumerate(metadata["actions"])}
    return torch.tensor([code[str(a)] for a in videos.action])


def enough_videos(videos: VideoSet, most: int) -> VideoSet:
    """Return videos that are enough for a joint fit, at most so many: as many of each action, spread evenly over it."""
    each = enough_of_each(len(videos.actions), most)
    rows = [np.flatnonzero(videos.action == action) for action in videos.actions]
    chosen = [r[np.linspace(0, len(r) - 1, min(each, len(r))).round().astype(int)] for r in rows]
    return videos if sum(map(len, chosen)) == len(videos) else videos.select(np.sort(np.concatenate(chosen)))


def warped_times(way: Callable[..., Tensor], theta: Tensor, sizes: np.ndarray, *, num_cells: int) -> list[np.ndarray]:
    """Warp even times of each video.

    Args:
        way: ``prototype_times``, T^-theta: video time -> prototype time, or ``video_times``, T^theta: the inverse.
        theta: (N, d) on the CPU.
        sizes: (N,) how many even times in [0, 1] each video has.
        num_cells: Cells of the warps.
    """
    found: list[np.ndarray] = [np.empty(0)] * len(sizes)
    order = np.argsort(sizes, kind="stable")  # of similar lengths together: little padding
    for chunk in chunks(len(order), _TOGETHER):
        rows = order[chunk]
        grids = [torch.from_numpy(prototype_grid(size)) for size in sizes[rows].tolist()]
        points = pad_sequence(grids, batch_first=True, padding_value=1.0)
        times = way(theta[rows], points, num_cells=num_cells).numpy()
        for row, values in zip(rows.tolist(), times, strict=True):
            found[row] = values[: sizes[row]]
    return found


@dataclass(frozen=True)
class TrainingVideos:
    """What a joint fit is given.

    Attributes:
        videos: N training videos.
        frames: Their features.
        config: The configuration.
        metadata: See ``aligners.metadata``.
        base: A fitted aligner, whose warps are where the fit starts; None: it starts at linear rescaling.
    """

    videos: VideoSet
    frames: FrameReader
    config: Config
    metadata: dict[str, Any]
    base: Aligner | None = None

    @property
    def device(self) -> torch.device:
        """Return where warps are fitted."""
        return compute_device(self.config.direct.device)

    @property
    def num_actions(self) -> int:
        """Return A."""
        return len(self.metadata["actions"])

    @cached_property
    def action(self) -> Tensor:
        """Return the number of each video's action, (N,)."""
        return action_codes(self.videos, self.metadata).to(self.device)

    def subset(self, *, actions: int, each: int) -> "TrainingVideos":
        """Return the first so many videos of each of the first so many actions."""
        rows = [np.flatnonzero(self.videos.action == a)[:each] for a in self.videos.actions[:actions]]
        return replace(self, videos=self.videos.select(np.sort(np.concatenate(rows))))

    def features(self, size: int) -> Tensor:
        """Return the features on a shared grid, (N, size, C)."""
        return self.frames.on_grid(self.videos, size).to(self.device)

    def grid_size(self, *, fine: bool) -> int:
        """Return the points of the shared grid."""
        low, high = GRID_LIMITS
        return FINE_GRID if fine else min(max(max(self.metadata["prototype_lengths"]), low), high)

    def options(self, *, fine: bool = False, ends: bool = False) -> JointOptions:
        """Return how warps are fitted, as configured: coarse or in full detail, with fixed or open ends."""
        direct, cells = self.config.direct, self.config.warp.num_cells
        options = JointOptions(
            num_cells=max(cells) if isinstance(cells, list) else cells,
            smoothness=direct.smoothness,
            offset_shrinkage=direct.offset_shrinkage,
            derivative=direct.derivative,
            empirical_bayes=direct.empirical_bayes,
            ends=ends,
        )
        return in_detail(options) if fine else options

    def start(self, features: Tensor, options: JointOptions, *, labels: Tensor | None = None) -> JointStart:
        """Return where the joint fit of features (N, G, C), some or all of the channels, starts."""
        return JointStart.find(
            features,
            self.action,
            num_actions=self.num_actions,
            options=options,
            theta=self._base_warps(features.shape[1], options),
            labels=labels,
        )

    def held_out_scores(self, theta: Tensor, options: JointOptions) -> np.ndarray:
        """Return PLP of each video by the votes of the others, (N,), under warps theta (N, d)."""
        lengths = dict(zip(self.metadata["actions"], self.metadata["prototype_lengths"], strict=True))
        points = np.array([lengths[str(a)] for a in self.videos.action])
        theta = theta.cpu()
        sources = warped_times(video_times, theta, points, num_cells=options.num_cells)
        positions = warped_times(prototype_times, theta, self.videos.lengths, num_cells=options.num_cells)
        faced = [faced_positions(p, s) for p, s in zip(positions, sources, strict=True)]
        return held_out_scores(faced, sources, self.videos)

    def _base_warps(self, size: int, options: JointOptions) -> Tensor | None:
        """Return the base's warps as theta (N, d) of this fit's family; None: there is no base."""
        if self.base is None:
            return None
        found = self.base.align(self.videos)
        grid = np.linspace(0, 1, size)
        rows = [np.interp(grid, prototype_grid(n), found.position(i)) for i, n in enumerate(found.lengths.tolist())]
        position = torch.from_numpy(np.stack(rows)).float().to(self.device)
        return warps_from_positions(position, num_cells=options.num_cells, ends=options.ends)
