"""What videos label prototypes with, as the metrics take it, and the labels that win."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.data import VideoSet
from tpl_lightning.evaluation.alignment import Alignment
from tpl_lightning.groupwise import chunks
from tpl_lightning.metrics import PhaseLabelPropagation

__all__ = ["CHUNK", "batches", "elected_labels", "padded", "stacked_labels", "table_sizes", "voted_labels", "votes_of"]

CHUNK = 256
"""Videos scored at once; bounds the memory, changes no figure."""


def padded(parts: list[np.ndarray], fill: float) -> Tensor:
    """Return arrays (L_i, ...) as one padded tensor (n, longest, ...)."""
    lengths = np.array([len(part) for part in parts])
    padded = np.full((len(parts), int(lengths.max()), *parts[0].shape[1:]), fill, dtype=parts[0].dtype)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = np.concatenate(parts)
    return torch.from_numpy(padded)


def votes_of(sources: Sequence[np.ndarray], videos: VideoSet, rows: np.ndarray) -> dict[str, Tensor]:
    """Return what some videos label the prototypes with, in the argument names of the metrics.

    Args:
        sources: T^theta at the prototype points, (L,), of each video.
        videos: N of them.
        rows: (n,) positions of those that vote.
    """
    code = {a: i for i, a in enumerate(videos.actions)}
    return {
        "labels": padded([videos.labels(i).astype(np.int64) for i in rows], fill=-1),
        "lengths": torch.from_numpy(videos.lengths[rows]),
        "action": torch.tensor([code[str(videos.action[i])] for i in rows]),
        "source_position": padded([sources[i] for i in rows], fill=2.0),
        "prototype_length": torch.tensor([len(sources[i]) for i in rows]),
    }


def batches(alignment: Alignment, videos: VideoSet, keep: np.ndarray) -> Iterator[dict[str, Tensor]]:
    """Yield padded tensors of the kept videos, in the argument names of the metrics."""
    sources = [alignment.source(i) for i in range(len(alignment))]
    kept = np.flatnonzero(keep)
    for part in chunks(len(kept), CHUNK):
        rows = kept[part]
        yield {"position": padded([alignment.faced(i) for i in rows], fill=0.0), **votes_of(sources, videos, rows)}


def stacked_labels(prototypes: dict[str, np.ndarray], actions: list[str], max_length: int) -> Tensor:
    """Stack the labels of stored prototypes, (A, max_length), -1 past each end."""
    stacked = torch.full((len(actions), max_length), -1)
    for i, action in enumerate(actions):
        stacked[i, : len(prototypes[action])] = torch.from_numpy(prototypes[action])
    return stacked


def voted_labels(sources: Sequence[np.ndarray], videos: VideoSet) -> dict[str, np.ndarray]:
    """Return the labels A^ (L,) of each action's prototype [8] by the votes of all these videos.

    Args:
        sources: T^theta at the prototype points, (L,), of each video.
        videos: The videos.
    """
    lengths = {str(a): len(s) for a, s in zip(videos.action, sources, strict=True)}
    plp = PhaseLabelPropagation(**table_sizes(videos, max(lengths.values())), sync_on_compute=False)
    every = np.arange(len(videos))
    for part in chunks(len(videos), CHUNK):
        plp.update_prototype(**votes_of(sources, videos, every[part]))
    return elected_labels(plp, lengths)


def table_sizes(videos: VideoSet, longest: int) -> dict[str, int]:
    """Return the sizes of the tables of votes, prototypes having at most ``longest`` points."""
    return {
        "num_actions": len(videos.actions),
        "num_phases": max([len(videos.phase_names.get(a, ())) for a in videos.actions] + [1]),
        "max_length": longest,
    }


def elected_labels(plp: PhaseLabelPropagation, lengths: dict[str, int]) -> dict[str, np.ndarray]:
    """Return the elected labels (L,) of each action's prototype."""
    labels = plp.prototype_labels().numpy()
    return {a: labels[i, : lengths[a]] for i, a in enumerate(sorted(lengths))}
