"""Occurrences of the actions in a long recording: proposals by subsequence DTW, then the fit of each.

Subsequence dynamic time warping (Mueller, "Information Retrieval for Music and Motion", 2007, ch. 4) lets a path start
and end anywhere in the recording. It reads the recording once, a step at a time and for all actions together, so time
is linear in the length. Its features are coarse and centred over the usual length of an action, as nobody knows yet
where one begins. What it proposes is then cut out and scored as a clip of its own (``recognition.actions``), with ends
that move to where it fits best; of proposals that overlap the best stays.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.recognition.actions import ActionModel

__all__ = ["Hit", "find_hits"]

_POINTS = 32  # of an action of usual length
_FEWEST, _MOST = 8, 96  # of any action
_STAY = 0.5  # of a point's cost, for each further step of the recording that faces it
_LOOSE = 1.5  # times the energy of a prototype, up to which an end of a path is a proposal
_WORTH = 2.0  # times the threshold, up to which ends are moved
_SAME = 0.7  # intersection over union of proposals that are one
_OVERLAP = 0.35  # of a hit, which may be shared
_TEMPO = 0.25  # usual deviation of the logarithm of a duration
_UNUSUAL = 0.05  # by which the error grows with the square of such a deviation
_MOVES = (0.08, 0.04)  # of the length, by which ends are moved in each round
_CHUNK = 4096  # steps of the recording whose costs are in memory
_WINDOWS = 512  # that are cut out at once


@dataclass(frozen=True)
class Hit:
    """An occurrence in frames ``start`` to ``end - 1``; its action's number, and its error over the threshold."""

    start: int
    end: int
    action: int
    error: float


def find_hits(
    model: ActionModel, embeddings: np.ndarray, fps: float, advance: Callable[[int], None] = lambda _: None
) -> list[Hit]:
    """Return the occurrences of a model's actions in a recording, in order.

    Args:
        model: The actions.
        embeddings: (F, C).
        fps: Frames per second.
        advance: Told of frames as they are done.
    """
    features = model.values(embeddings)
    lengths = np.maximum(model.duration_s * fps, 4.0)
    windows = _proposals(model, features, lengths, advance)

    def score(tried: np.ndarray) -> np.ndarray:
        tempo = np.log((tried[:, 1] - tried[:, 0]) / lengths[tried[:, 2]]) / _TEMPO
        return _errors(model, features, tried) * (1 + _UNUSUAL * tempo**2)

    windows, errors = _fitted(windows, score, len(features))
    good = errors <= 1
    order = np.argsort(errors[good])
    kept = _Spans(float(np.median(lengths)))
    hits: list[Hit] = []
    for (start, end, action), error in zip(windows[good][order].tolist(), errors[good][order].tolist(), strict=True):
        if _is_free(start, end, kept):
            kept.add(start, end)
            hits.append(Hit(start, end, action, error))
    return sorted(hits, key=lambda hit: hit.start)


class _Spans:
    """Spans of time, kept by where they are, so that those near another are found without a look at all."""

    def __init__(self, width: float) -> None:
        """Make room: a usual span has this width."""
        self._width = max(width, 1.0)
        self._places: dict[int, list[tuple[int, int]]] = {}

    def _cells(self, start: int, end: int) -> range:
        return range(int(start / self._width), int(end / self._width) + 1)

    def add(self, start: int, end: int) -> None:
        """Keep a span."""
        for cell in self._cells(start, end):
            self._places.setdefault(cell, []).append((start, end))

    def near(self, start: int, end: int) -> set[tuple[int, int]]:
        """Return the spans that are kept and may overlap with one."""
        return {span for cell in self._cells(start, end) for span in self._places.get(cell, ())}


def _overlap(start: int, end: int, span: tuple[int, int]) -> int:
    return max(min(end, span[1]) - max(start, span[0]), 0)


def _is_free(start: int, end: int, kept: _Spans) -> bool:
    """Tell whether a hit shares little with better ones: of each pair's shorter one, and of its own in all."""
    shared = {span: _overlap(start, end, span) for span in kept.near(start, end)}
    pairs = (both <= _OVERLAP * min(end - start, high - low) for (low, high), both in shared.items())
    return all(pairs) and sum(shared.values()) <= _OVERLAP * (end - start)


def _is_new(start: int, end: int, kept: _Spans) -> bool:
    """Tell whether a proposal is another one than those that are kept."""
    spans = kept.near(start, end)
    return all(_overlap(start, end, s) <= _SAME * (max(end, s[1]) - min(start, s[0])) for s in spans)


def _coarse(model: ActionModel, features: Tensor, lengths: np.ndarray, stride: int) -> tuple[Tensor, list[np.ndarray]]:
    """Return features (T, C), every so many frames, and their mean (T, C) over the usual length of each action."""
    steps = len(features) // stride
    values = features[: steps * stride].view(steps, stride, -1).mean(1)
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values.double().numpy(), 0)])
    means = []
    for length in lengths / stride:
        half = max(round(length / 2), 1)
        low, high = (np.clip(np.arange(steps) + shift, 0, steps) for shift in (-half, half + 1))
        means.append((total[high] - total[low]) / (high - low)[:, None])
    return values, means


def _proposals(model: ActionModel, features: Tensor, lengths: np.ndarray, advance: Callable[[int], None]) -> np.ndarray:
    """Return windows (M, 3) of frames and action in which a path ends that is better than those around it."""
    stride = max(1, round(float(np.median(lengths)) / _POINTS))
    points = np.clip(np.rint(lengths / stride), _FEWEST, _MOST).astype(int)
    values, means = _coarse(model, features, lengths, stride)
    if len(values) < 3:
        return np.zeros((0, 3), dtype=np.int64)
    slope = torch.gradient(values, dim=0)[0]
    targets = [
        torch.nn.functional.interpolate(prototype.T[None], size=int(size), mode="linear", align_corners=True)[0].T
        for prototype, size in zip(model.fit.prototype, points, strict=True)
    ]
    search = _Search(points)
    for first in range(0, len(values), _CHUNK):
        rows = slice(first, first + _CHUNK)
        costs = np.full((len(values[rows]), len(points), int(points.max())), np.inf, dtype=np.float32)
        for a, target in enumerate(targets):
            level = values[rows] - torch.from_numpy(means[a][rows]).float()
            signal = model.fit.space.in_metric(model.beside(level, slope[rows] * float(lengths[a] / stride)))
            distance = torch.cdist(signal, target).square() / target.square().sum(-1).mean()
            costs[:, a, : points[a]] = distance.numpy()
        search.read(costs)
        advance(stride * len(costs))
    return _minima(*search.ends(), points, stride, len(features), _LOOSE)


class _Search:
    """Subsequence DTW of a recording with prototypes of so many points (A,), a step at a time.

    A step of the recording goes on to the next point, to the one after it, or stays. Going on costs what the points
    that are passed differ from the recording, staying half of it: the cost of a path per point is the mean squared
    distance over the prototype, whatever the tempo, and lingering or noise in between is not free.
    """

    def __init__(self, points: np.ndarray) -> None:
        """Start before the first step."""
        size = int(points.max())
        self.points, self.step = points, 0
        # Two columns ahead of the first point: paths that start now.
        self.cost = np.full((len(points), size + 2), np.inf)
        self.start = np.zeros((len(points), size + 2), dtype=np.int64)
        self._costs: list[np.ndarray] = []
        self._starts: list[np.ndarray] = []

    def read(self, costs: np.ndarray) -> None:
        """Take the costs (T, A, P) of the next steps of the recording."""
        actions, last = np.arange(len(self.points)), self.points + 1
        ends, starts = np.empty((2, len(costs), len(self.points)))
        for row, own in enumerate(costs):
            self.cost[:, 1], self.start[:, 1] = 0.0, self.step
            stay, on, skip = self.cost[:, 2:] + _STAY * own, self.cost[:, 1:-1] + own, self.cost[:, :-2] + 2 * own
            best = np.minimum(np.minimum(stay, on), skip)
            start = np.where(
                best == on, self.start[:, 1:-1], np.where(best == stay, self.start[:, 2:], self.start[:, :-2])
            )
            self.cost[:, 2:], self.start[:, 2:] = best, start
            ends[row], starts[row] = self.cost[actions, last], self.start[actions, last]
            self.step += 1
        self._costs.append(ends / self.points)
        self._starts.append(starts.astype(np.int64))

    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Return, of each step, the cost per point of the best path that ends there, and its first step, (T, A)."""
        return np.concatenate(self._costs), np.concatenate(self._starts)


def _minima(
    cost: np.ndarray, start: np.ndarray, points: np.ndarray, stride: int, frames: int, most: float
) -> np.ndarray:
    """Return windows (M, 3) at the local minima of the costs (T, A) of paths, those that are nearly the same once."""
    found = []
    for action, size in enumerate(points.tolist()):
        own = cost[:, action]
        reach = max(size // 8, 1)
        padded = np.pad(own, reach, constant_values=np.inf)
        least = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).min(1)
        steps = np.flatnonzero((own <= least) & (own <= most))
        kept, spans = _Spans(size), []
        for step in steps[np.argsort(own[steps], kind="stable")].tolist():
            low, high = int(start[step, action]), step + 1
            if high - low >= 3 and _is_new(low, high, kept):
                kept.add(low, high)
                spans.append((low, high))
        found += [(low * stride, min(high * stride, frames), action) for low, high in spans]
    return np.array(found, dtype=np.int64).reshape(-1, 3)


def _errors(model: ActionModel, features: Tensor, windows: np.ndarray) -> np.ndarray:
    """Return the error (M,) of each window (M, 3) as a clip of its action, over the action's threshold."""
    found = [np.zeros(0)]
    for first in range(0, len(windows), _WINDOWS):
        part = windows[first : first + _WINDOWS]
        cut = torch.cat([features[start:end] for start, end, _ in part.tolist()])
        lengths = torch.from_numpy(part[:, 1] - part[:, 0])
        found.append(model.errors_of(cut, lengths, torch.from_numpy(part[:, 2])).double().numpy())
    return np.concatenate(found)


def _fitted(
    windows: np.ndarray, score: Callable[[np.ndarray], np.ndarray], frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Move the ends of windows (M, 3) to where they fit best; those that are far off are left out."""
    errors = score(windows)
    near = errors <= _WORTH
    windows, errors = windows[near], errors[near]
    for move in _MOVES:
        step = np.maximum(np.rint(move * (windows[:, 1] - windows[:, 0])), 1).astype(np.int64)
        tried, results = [windows], [errors]
        for first in (-1, 0, 1):
            for last in (-1, 0, 1):
                if first == last == 0:
                    continue
                moved = windows.copy()
                moved[:, 0] = np.maximum(moved[:, 0] + first * step, 0)
                moved[:, 1] = np.minimum(moved[:, 1] + last * step, frames)
                moved[:, :2] = np.where((moved[:, 1] - moved[:, 0] >= 4)[:, None], moved[:, :2], windows[:, :2])
                tried.append(moved)
                results.append(score(moved))
        best = np.argmin(results, axis=0)
        every = np.arange(len(windows))
        windows, errors = np.stack(tried)[best, every], np.stack(results)[best, every]
    return windows, errors
