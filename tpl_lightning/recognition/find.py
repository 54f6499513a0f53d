"""Occurrences of the actions in a long recording: proposals by subsequence DTW, then the fit of each.

Subsequence dynamic time warping (Mueller, "Information Retrieval for Music and Motion", 2007, ch. 4) lets a path start
and end anywhere in the recording. It reads the recording once, a step at a time and for all actions together, so time
is linear in the length. Its features are coarse and centred over the usual length of an action, as nobody knows yet
where one begins. What it proposes is then cut out and scored as a clip of its own (``recognition.actions``), with ends
that move to where it fits best; of proposals that overlap the best stays. Where the recording begins or stops in the
middle of an action, a path may begin or end at any point of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.recognition.actions import ActionModel
from tpl_lightning.recognition.open_fit import fit_open_ends

__all__ = ["Hit", "find_hits"]

_POINTS = 32  # of an action of usual length
_FEWEST, _MOST = 8, 96  # of any action
_STAY = 0.4  # of a point's cost, for each further step of the recording that faces it
_LEAP = 3  # points that a step of the recording goes on, at most
_MISSING = 0.5  # cost of a point that lies before the recording or behind it
_LEAST = 0.35  # of an action that must be there
_LOOSE = 1.5  # times the energy of a prototype, up to which an end of a path is a proposal
_WORTH = 2.0  # times the threshold, up to which ends are moved
_SAME = 0.7  # intersection over union of proposals that are one
_OVERLAP = 0.35  # of a hit, which may be shared
_TEMPO = 0.25  # usual deviation of the logarithm of a duration
_UNUSUAL = 0.05  # by which the error grows with the square of such a deviation
_MOVES = (0.08, 0.04)  # of the length, by which ends are moved in each round
_CHUNK = 4096  # steps of the recording whose costs are in memory
_SHORTEST = 4  # frames of an occurrence
_AT_ONCE = 512  # windows that are cut out


@dataclass(frozen=True)
class Hit:
    """An occurrence in frames ``start`` to ``end - 1``; its action's number, and its error over the threshold.

    ``first`` and ``last`` are the prototype times at which it begins and ends: above 0 or below 1 where the recording
    begins or stops in the middle of it.
    """

    start: int
    end: int
    action: int
    error: float
    first: float = 0.0
    last: float = 1.0
    position: np.ndarray = field(default_factory=lambda: np.zeros(0), compare=False)
    """Prototype time of each frame."""


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

    def score(tried: _Windows) -> np.ndarray:
        tempo = np.log(tried.frames / tried.share / lengths[tried.action]) / _TEMPO
        return np.asarray(_errors(model, features, tried) * (1 + _UNUSUAL * tempo**2) / np.sqrt(tried.share))

    windows, errors = _fitted(windows, score, len(features))
    order = np.flatnonzero(errors <= 1)
    order = order[np.argsort(errors[order], kind="stable")]
    kept = _Spans(float(np.median(lengths)))
    hits: list[Hit] = []
    for row in order.tolist():
        start, end = int(windows.start[row]), int(windows.end[row])
        if _is_free(start, end, kept):
            kept.add(start, end)
            shown = float(windows.first[row]), float(windows.last[row])
            hits.append(Hit(start, end, int(windows.action[row]), float(errors[row]), *shown))
    return sorted(_with_open_ends(model, features, hits), key=lambda hit: hit.start)


@dataclass(frozen=True)
class _Windows:
    """Windows (M,) of frames, each as an action, of which it shows prototype times ``first`` to ``last``."""

    start: np.ndarray
    end: np.ndarray
    action: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[tuple[float, ...]]) -> "_Windows":
        columns = np.array(rows, dtype=np.float64).reshape(-1, 5).T
        return cls(*columns[:3].astype(np.int64), *columns[3:])

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, rows: np.ndarray | slice) -> "_Windows":
        return _Windows(*(getattr(self, column.name)[rows] for column in fields(self)))

    @property
    def frames(self) -> np.ndarray:
        return np.asarray(self.end - self.start)

    @property
    def share(self) -> np.ndarray:
        """Return how much of its action each shows."""
        return np.asarray(self.last - self.first)

    def moved(self, front: int, back: int, move: float, frames: int) -> "_Windows":
        """Return the windows with ends moved by a share of their length, each by -1, 0 or 1 of it.

        Where the recording cuts an action, the prototype time moves.
        """
        step = np.maximum(np.rint(move * self.frames), 1).astype(np.int64)
        cut, stop = (self.start == 0) & (self.first > 0), (self.end == frames) & (self.last < 1)
        start = np.where(cut, self.start, np.maximum(self.start + front * step, 0))
        end = np.where(stop, self.end, np.minimum(self.end + back * step, frames))
        first = np.where(cut, (self.first + front * move * self.share).clip(0, 1 - _LEAST), self.first)
        last = np.where(stop, (self.last + back * move * self.share).clip(_LEAST, 1), self.last)
        good = (end - start >= _SHORTEST) & (last - first >= _LEAST)
        own = (self.start, self.end, self.action, self.first, self.last)
        new = (start, end, self.action, first, last)
        return _Windows(*(np.where(good, there, here) for there, here in zip(new, own, strict=True)))


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


def _proposals(model: ActionModel, features: Tensor, lengths: np.ndarray, advance: Callable[[int], None]) -> _Windows:
    """Return the windows in which a path ends that is better than those around it."""
    stride = max(1, round(float(np.median(lengths)) / _POINTS))
    points = np.clip(np.rint(lengths / stride), _FEWEST, _MOST).astype(int)
    values, means = _coarse(model, features, lengths, stride)
    if len(values) < 3:
        return _Windows.of([])
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
    found = [*_minima(*search.ends(), points, _LOOSE), *search.stopped(_LOOSE)]
    frames, steps = len(features), search.step  # the last few frames may be less than a step
    return _Windows.of(
        [(low * stride, frames if high == steps else high * stride, *rest) for low, high, *rest in found]
    )


class _Search:
    """Subsequence DTW of a recording with prototypes of so many points (A,), a step at a time.

    A step of the recording goes on to the next point, to one of those after it, or stays. Going on costs what the
    points that are passed differ from the recording, staying half of it: the cost of a path per point is the mean
    squared distance over the prototype, whatever the tempo, and lingering or noise in between is not free. With
    the first step a path may begin at any point, and with the last one end at any, at a cost for those that are
    missing.
    """

    def __init__(self, points: np.ndarray) -> None:
        """Start before the first step."""
        size = int(points.max())
        self.points, self.step = points, 0
        # Columns ahead of the first point: paths that start now.
        self.cost = np.full((len(points), size + _LEAP), np.inf)
        self.start = np.zeros((len(points), size + _LEAP), dtype=np.int64)
        self.first = np.zeros((len(points), size + _LEAP), dtype=np.int64)
        self.first[:, _LEAP - 1 :] = np.arange(size + 1)
        self.cost[:, _LEAP - 1 :] = _MISSING * self.first[:, _LEAP - 1 :]
        self._told: list[np.ndarray] = []

    def read(self, costs: np.ndarray) -> None:
        """Take the costs (T, A, P) of the next steps of the recording."""
        actions, last, size = np.arange(len(self.points)), self.points + _LEAP - 1, costs.shape[2]
        told = np.empty((len(costs), 3, len(self.points)))
        for row, own in enumerate(costs):
            self.cost[:, _LEAP - 1], self.start[:, _LEAP - 1] = 0.0, self.step
            best, way = self.cost[:, _LEAP - 1 : -1] + own, np.ones(own.shape, dtype=np.int64)
            for far in (0, *range(2, _LEAP + 1)):
                cost = self.cost[:, _LEAP - far : _LEAP - far + size] + (far or _STAY) * own
                is_less = cost < best
                best, way = np.where(is_less, cost, best), np.where(is_less, far, way)
            origin = np.arange(_LEAP, _LEAP + size) - way
            self.cost[:, _LEAP:] = best
            for known in (self.start, self.first):
                known[:, _LEAP:] = np.take_along_axis(known, origin, axis=1)
            told[row] = [known[actions, last] for known in (self.cost, self.start, self.first)]
            self.step += 1
        self._told.append(told)

    def ends(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return what is known of the best path that ends at each step, (T, A).

        Its cost per point, its first step, and the prototype time at which it begins.
        """
        cost, start, first = np.concatenate(self._told).transpose(1, 0, 2)
        return cost / self.points, start.astype(np.int64), first / self.points

    def stopped(self, most: float) -> list[tuple[float, ...]]:
        """Return the best path of each action that the last step interrupts: steps, action, prototype times."""
        found: list[tuple[float, ...]] = []
        for action, size in enumerate(self.points.tolist()):
            own = slice(_LEAP, _LEAP + size - 1)
            cost = (self.cost[action, own] + _MISSING * np.arange(size - 1, 0, -1)) / size
            first, last = self.first[action, own] / size, np.arange(1, size) / size
            cost = np.where(last - first >= _LEAST, cost, np.inf)
            best = int(cost.argmin())
            low = int(self.start[action, own][best])
            if cost[best] <= most and self.step - low >= 3:
                found.append((low, self.step, action, float(first[best]), float(last[best])))
        return found


def _minima(
    cost: np.ndarray, start: np.ndarray, first: np.ndarray, points: np.ndarray, most: float
) -> list[tuple[float, ...]]:
    """Return steps, action and prototype times at the local minima of the costs (T, A) of paths.

    Those that are nearly the same are there once.
    """
    found: list[tuple[float, ...]] = []
    for action, size in enumerate(points.tolist()):
        own = cost[:, action]
        reach = max(size // 8, 1)
        padded = np.pad(own, reach, constant_values=np.inf)
        least = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).min(1)
        steps = np.flatnonzero((own <= least) & (own <= most) & (first[:, action] <= 1 - _LEAST))
        kept = _Spans(size)
        for step in steps[np.argsort(own[steps], kind="stable")].tolist():
            low, high = int(start[step, action]), step + 1
            if high - low >= 3 and _is_new(low, high, kept):
                kept.add(low, high)
                found.append((low, high, action, float(first[step, action]), 1.0))
    return found


def _errors(model: ActionModel, features: Tensor, windows: _Windows) -> np.ndarray:
    """Return the error (M,) of each window as a clip of its action, over the action's threshold."""
    found = [np.zeros(0)]
    for begin in range(0, len(windows), _AT_ONCE):
        part = windows[begin : begin + _AT_ONCE]
        cut = torch.cat([features[start:end] for start, end in zip(part.start, part.end, strict=True)])
        shown = torch.from_numpy(np.stack([part.first, part.last], axis=1)).float()
        errors = model.errors_of(cut, torch.from_numpy(part.frames), torch.from_numpy(part.action), shown)
        found.append(errors.double().numpy())
    return np.concatenate(found)


def _fitted(windows: _Windows, score: Callable[[_Windows], np.ndarray], frames: int) -> tuple[_Windows, np.ndarray]:
    """Move the ends of windows to where they fit best; those that are far off are left out."""
    errors = score(windows)
    near = np.flatnonzero(errors <= _WORTH)
    windows, errors = windows[near], errors[near]
    for move in _MOVES:
        tried = [windows]
        tried += [windows.moved(f, b, move, frames) for f in (-1, 0, 1) for b in (-1, 0, 1) if (f, b) != (0, 0)]
        results = [errors, *(score(moved) for moved in tried[1:])]
        best, every = np.argmin(results, axis=0), np.arange(len(windows))
        columns = (np.stack([getattr(one, column.name) for one in tried])[best, every] for column in fields(_Windows))
        windows, errors = _Windows(*columns), np.stack(results)[best, every]
    return windows, errors


def _with_open_ends(model: ActionModel, features: Tensor, hits: list[Hit]) -> list[Hit]:
    """Move the ends of hits to where a fit with open ends finds them, and say when each moment of the action is."""
    if not hits:
        return []
    shown = np.array([[hit.first, hit.last] for hit in hits])
    start, end, action = (np.array(column) for column in zip(*((h.start, h.end, h.action) for h in hits), strict=True))
    fit = fit_open_ends(model, features, start, end, action, shown)
    first, last = np.rint(fit.frames(shown)).astype(np.int64).T
    start = np.where(shown[:, 0] > 0, start, np.maximum(first, fit.low))
    end = np.where(shown[:, 1] < 1, end, np.minimum(last + 1, fit.high))
    moved = []
    for row, hit in enumerate(hits):
        is_good = end[row] - start[row] >= _SHORTEST
        low, high = (int(start[row]), int(end[row])) if is_good else (hit.start, hit.end)
        moved.append(replace(hit, start=low, end=high, position=fit.positions(row, low, high)))
    return moved
