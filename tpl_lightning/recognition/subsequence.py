"""Subsequence dynamic time warping of a recording with prototypes, a step at a time and for all actions together."""

import numpy as np

from tpl_lightning.recognition.spans import is_new, kept_spans

LEAST = 0.35
"""Share of an action that must be there."""
_STAY = 0.4  # of a point's cost, for each further step of the recording that faces it
_LEAP = 3  # points that a step of the recording goes on, at most
_MISSING = 0.5  # cost of a point that lies before the recording or behind it


class SubsequenceSearch:
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
            cost = np.where(last - first >= LEAST, cost, np.inf)
            best = int(cost.argmin())
            low = int(self.start[action, own][best])
            if cost[best] <= most and self.step - low >= 3:
                found.append((low, self.step, action, float(first[best]), float(last[best])))
        return found


def path_ends(
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
        steps = np.flatnonzero((own <= least) & (own <= most) & (first[:, action] <= 1 - LEAST))
        steps = steps[np.argsort(own[steps], kind="stable")]
        steps = steps[steps + 1 - start[steps, action] >= 3]
        spans = list(zip(start[steps, action].tolist(), (steps + 1).tolist(), strict=True))
        for row in kept_spans(spans, size, is_new):
            found.append((*spans[row], action, float(first[steps[row], action]), 1.0))
    return found
