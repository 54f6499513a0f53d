"""Occurrences of the actions in a long recording: proposals by subsequence DTW, then the fit of each.

Subsequence dynamic time warping (Mueller, "Information Retrieval for Music and Motion", 2007, ch. 4) lets a path start
and end anywhere in the recording. It reads the recording once, a step at a time and for all actions together, so time
is linear in the length. Its features are coarse and centred over the usual length of an action, as nobody knows yet
where one begins. What it proposes is then cut out and scored as a clip of its own (``recognition.actions``), with ends
that move to where it fits best; of proposals that overlap the best stays. Where the recording begins or stops in the
middle of an action, a path may begin or end at any point of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.recognition.actions import ActionModel
from tpl_lightning.recognition.open_fit import fit_open_ends
from tpl_lightning.recognition.spans import is_free, kept_spans
from tpl_lightning.recognition.subsequence import LEAST, SubsequenceSearch, path_ends

_POINTS = 32  # of an action of usual length
_FEWEST, _MOST = 8, 96  # of any action
_LOOSE = 1.5  # times the energy of a prototype, up to which an end of a path is a proposal
_WORTH = 2.0  # times the threshold, up to which ends are moved
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
    windows, errors = _fitted(model, features, lengths, _proposals(model, features, lengths, advance))
    order = np.argsort(errors, kind="stable")
    order = order[errors[order] <= 1]
    spans = zip(windows["start"][order].tolist(), windows["end"][order].tolist(), strict=True)
    rows = order[kept_spans(spans, float(np.median(lengths)), is_free)]
    return _hits(model, features, windows[rows], errors[rows])


def _windows(rows: Sequence[tuple[float, ...]]) -> np.ndarray:
    """Return a table of windows of frames, each as an action, of which it shows prototype times first to last."""
    kind = [("start", np.int64), ("end", np.int64), ("action", np.int64), ("first", float), ("last", float)]
    return np.array(rows, dtype=kind)


def _coarse(features: Tensor, lengths: np.ndarray, stride: int) -> tuple[Tensor, list[Tensor]]:
    """Return features (T, C), every so many frames, and less their mean over the usual length of each action."""
    steps = len(features) // stride
    values = features[: steps * stride].view(steps, stride, -1).mean(1)
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values.double().numpy(), 0)])
    levels = []
    for length in lengths / stride:
        half = max(round(length / 2), 1)
        low, high = (np.clip(np.arange(steps) + shift, 0, steps) for shift in (-half, half + 1))
        levels.append(values - torch.from_numpy((total[high] - total[low]) / (high - low)[:, None]).float())
    return values, levels


def _proposals(model: ActionModel, features: Tensor, lengths: np.ndarray, advance: Callable[[int], None]) -> np.ndarray:
    """Return the windows in which a path ends that is better than those around it."""
    stride = max(1, round(float(np.median(lengths)) / _POINTS))
    points = np.clip(np.rint(lengths / stride), _FEWEST, _MOST).astype(int)
    values, levels = _coarse(features, lengths, stride)
    if len(values) < 3:
        return _windows([])
    slope = torch.gradient(values, dim=0)[0]
    targets = [
        torch.nn.functional.interpolate(prototype.T[None], size=int(size), mode="linear", align_corners=True)[0].T
        for prototype, size in zip(model.fit.prototype, points, strict=True)
    ]
    search = SubsequenceSearch(points)
    for first in range(0, len(values), _CHUNK):
        rows = slice(first, first + _CHUNK)
        costs = np.full((len(values[rows]), len(points), int(points.max())), np.inf, dtype=np.float32)
        for a, target in enumerate(targets):
            beside = model.beside(levels[a][rows], slope[rows] * float(lengths[a] / stride))
            distance = torch.cdist(model.fit.space.in_metric(beside), target).square()
            costs[:, a, : points[a]] = (distance / target.square().sum(-1).mean()).numpy()
        search.read(costs)
        advance(stride * len(costs))
    found = [*path_ends(*search.ends(), points, _LOOSE), *search.stopped(_LOOSE)]
    frames, steps = len(features), search.step  # the last few frames may be less than a step
    return _windows([(low * stride, frames if high == steps else high * stride, *rest) for low, high, *rest in found])


def _errors(model: ActionModel, features: Tensor, lengths: np.ndarray, windows: np.ndarray) -> np.ndarray:
    """Return the error (M,) of each window as a clip of its action, over the action's threshold.

    It is more where the tempo is unusual for the action, or less of it is there.
    """
    found = [np.zeros(0)]
    for begin in range(0, len(windows), _AT_ONCE):
        part = windows[begin : begin + _AT_ONCE]
        cut = [features[start:end] for start, end in zip(part["start"], part["end"], strict=True)]
        shown = torch.from_numpy(np.stack([part["first"], part["last"]], axis=1)).float()
        found.append(model.errors_of(cut, torch.from_numpy(part["action"].copy()), shown).double().numpy())
    share = windows["last"] - windows["first"]
    tempo = np.log((windows["end"] - windows["start"]) / share / lengths[windows["action"]]) / _TEMPO
    return np.asarray(np.concatenate(found) * (1 + _UNUSUAL * tempo**2) / np.sqrt(share))


def _moved(windows: np.ndarray, front: int, back: int, move: float, frames: int) -> np.ndarray:
    """Return windows with ends moved by a share of their length, each by -1, 0 or 1 of it.

    Where the recording cuts an action, the prototype time moves.
    """
    own, share = windows, windows["last"] - windows["first"]
    step = np.maximum(np.rint(move * (own["end"] - own["start"])), 1).astype(np.int64)
    cut, stop = (own["start"] == 0) & (own["first"] > 0), (own["end"] == frames) & (own["last"] < 1)
    new = windows.copy()
    new["start"] = np.where(cut, own["start"], np.maximum(own["start"] + front * step, 0))
    new["end"] = np.where(stop, own["end"], np.minimum(own["end"] + back * step, frames))
    new["first"] = np.where(cut, (own["first"] + front * move * share).clip(0, 1 - LEAST), own["first"])
    new["last"] = np.where(stop, (own["last"] + back * move * share).clip(LEAST, 1), own["last"])
    is_good = (new["end"] - new["start"] >= _SHORTEST) & (new["last"] - new["first"] >= LEAST)
    return np.where(is_good, new, own)


def _fitted(
    model: ActionModel, features: Tensor, lengths: np.ndarray, windows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Move the ends of windows to where they fit best, and return these errors; those far off are left out."""
    errors = _errors(model, features, lengths, windows)
    near = errors <= _WORTH
    windows, errors = windows[near], errors[near]
    for move in _MOVES:
        ways = [(front, back) for front in (-1, 0, 1) for back in (-1, 0, 1) if (front, back) != (0, 0)]
        tried = [windows, *(_moved(windows, *way, move, len(features)) for way in ways)]
        results = np.stack([errors, *(_errors(model, features, lengths, moved) for moved in tried[1:])])
        best, every = results.argmin(axis=0), np.arange(len(windows))
        windows, errors = np.stack(tried)[best, every], results[best, every]
    return windows, errors


def _hits(model: ActionModel, features: Tensor, windows: np.ndarray, errors: np.ndarray) -> list[Hit]:
    """Move the ends of windows to where a fit with open ends finds them, and say when each moment of the action is."""
    if len(windows) == 0:
        return []
    shown = np.stack([windows["first"], windows["last"]], axis=1)
    fit = fit_open_ends(model, features, windows["start"], windows["end"], windows["action"], shown)
    first, last = np.rint(fit.frames(shown)).astype(np.int64).T
    start = np.where(shown[:, 0] > 0, windows["start"], np.maximum(first, fit.low))
    end = np.where(shown[:, 1] < 1, windows["end"], np.minimum(last + 1, fit.high))
    is_good = end - start >= _SHORTEST
    moved = windows.copy()
    moved["start"], moved["end"] = np.where(is_good, start, moved["start"]), np.where(is_good, end, moved["end"])
    hits = []
    for row, (low, high, action, begin, stop) in enumerate(moved.tolist()):
        hits.append(Hit(low, high, action, float(errors[row]), begin, stop, fit.positions(row, low, high)))
    return sorted(hits, key=lambda hit: hit.start)
