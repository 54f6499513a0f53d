"""Search against a loop, look-up against the definition of a match."""

import importlib.util
import sys

import numpy as np
import pytest
import torch

from tpl_lightning.functional.scores import retrieval
from tpl_lightning.functional.scores.retrieval import frames_on_prototype, lookup_matches, nearest_rows, typical_videos


@pytest.mark.parametrize("backend", ["faiss", "torch", "auto"])
def test_search_finds_the_nearest_row(backend, monkeypatch):
    if backend == "faiss":
        pytest.importorskip("faiss")
    monkeypatch.setattr(retrieval, "BLOCK", 1000)  # several blocks
    generator = torch.Generator().manual_seed(0)
    queries, rows = (torch.randn(n, 5, generator=generator) + 30 for n in (70, 211))
    expected = [int(np.argmin([float((q - r).square().sum()) for r in rows.double()])) for q in queries.double()]
    assert nearest_rows(queries, rows, backend=backend).tolist() == expected


def test_frames_on_the_prototype_are_the_nearest_and_stay_within_the_video():
    source = torch.tensor([[0.0, 0.2, 0.61, 1.0], [0.0, 0.5, 1.0, 1.3]])
    assert frames_on_prototype(source, torch.tensor([6, 3])).tolist() == [[0, 1, 3, 5], [0, 1, 2, 2]]


def test_lookup_goes_to_the_prototype_and_on_to_each_video():
    lengths = torch.tensor([10, 25, 7])
    grid = torch.linspace(0, 1, 33)
    source = torch.stack([grid**power for power in (1.0, 1.7, 0.6)])
    frames = frames_on_prototype(source, lengths)
    position = torch.linspace(0, 1, 12) ** 0.8
    found = lookup_matches(position, frames)
    assert found.shape == (3, 12)
    for video, power in enumerate((1.0, 1.7, 0.6)):
        for frame, place in enumerate(position.tolist()):
            point = round(place * 32)
            assert int(found[video, frame]) == round((point / 32) ** power * (int(lengths[video]) - 1))


def test_the_typical_video_is_nearest_to_the_mean_at_each_point():
    aligned = torch.randn(6, 9, 4, generator=torch.Generator().manual_seed(2))
    expected = [
        int(np.argmin([float((aligned[i, j] - aligned[:, j].mean(0)).square().sum()) for i in range(6)]))
        for j in range(9)
    ]
    assert typical_videos(aligned).tolist() == expected


def test_search_needs_no_faiss(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)  # cannot be imported
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    queries, rows = torch.tensor([[0.9], [4.0]]), torch.tensor([[0.0], [1.0], [3.0]])
    assert nearest_rows(queries, rows).tolist() == [1, 2]
    with pytest.raises(ImportError):
        nearest_rows(queries, rows, backend="faiss")
