"""Kendall's tau against scipy and plain loops over pairs of frames."""

import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.stats import kendalltau

from tpl_lightning.functional.scores import kendall
from tpl_lightning.functional.scores.kendall import kendall_tau, order_counts, pairwise_kendall_tau

METRICS = {"l2": "euclidean", "sqeuclidean": "sqeuclidean", "cosine": "cosine"}


def _counts(match):
    pairs = [int(np.sign(match[v] - match[u])) for v in range(len(match)) for u in range(v)]
    return sum(p > 0 for p in pairs), sum(p < 0 for p in pairs)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=21), min_size=1, max_size=4))
def test_order_counts_equal_a_loop_over_all_pairs(rows):
    index = torch.full((len(rows), 23), -77)  # what lies beyond a row would change every count
    for i, row in enumerate(rows):
        index[i, : len(row)] = torch.tensor(row)
    found = order_counts(index, torch.tensor([len(row) for row in rows]))
    assert torch.stack(found, 1).tolist() == [list(_counts(row)) for row in rows]


def test_variant_b_is_scipys_and_a_keeps_ties_in_the_denominator():
    index = torch.randint(0, 6, (30, 17), generator=torch.Generator().manual_seed(0))
    lengths = torch.randint(2, 18, (30,), generator=torch.Generator().manual_seed(1))
    for variant in ("a", "b"):
        found = kendall_tau(index, lengths, variant=variant)
        for row, n, value in zip(index.numpy(), lengths.tolist(), found.tolist(), strict=True):
            concordant, discordant = _counts(row[:n])
            expected = (concordant - discordant) / (n * (n - 1) / 2)
            if variant == "b":
                expected = kendalltau(np.arange(n), row[:n]).statistic
            np.testing.assert_allclose(value, expected, atol=1e-12)
    assert kendall_tau(torch.tensor([[3]]), torch.tensor([1])).isnan().all()


def _videos(seed=0, count=5):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([1, 12, 7, 9, 2][:count])
    frames = torch.randn(count, 14, 3, generator=generator).cumsum(1) + 50  # a mean that would eat digits
    return frames, lengths


def _slow_pairs(frames, lengths, distance, variant):
    count = len(frames)
    tau = np.full((count, count), np.nan)
    for a in range(count):
        for b in range(count):
            n, m = int(lengths[a]), int(lengths[b])
            if a == b or n < 2:
                continue
            match = cdist(frames[a, :n].double(), frames[b, :m].double(), METRICS[distance]).argmin(1)
            concordant, discordant = _counts(match.tolist())
            pairs = n * (n - 1) / 2
            scale = pairs if variant == "a" else np.sqrt(pairs * (concordant + discordant))
            tau[a, b] = (concordant - discordant) / scale if scale else 0.0
    return tau


@pytest.mark.parametrize("distance", METRICS)
@pytest.mark.parametrize("variant", ["a", "b"])
def test_pairs_equal_a_slow_loop(distance, variant):
    frames, lengths = _videos()
    if distance == "cosine":
        frames = frames - 50
    expected = _slow_pairs(frames, lengths, distance, variant)
    found = pairwise_kendall_tau(frames, lengths, distance=distance, variant=variant)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_blocks_padding_and_half_precision_change_nothing(monkeypatch):
    frames, lengths = _videos(3)
    expected = pairwise_kendall_tau(frames, lengths)
    longer = torch.nn.functional.pad(frames, (0, 0, 0, 5), value=float("nan"))
    torch.testing.assert_close(pairwise_kendall_tau(longer, lengths), expected, equal_nan=True, rtol=0, atol=0)
    monkeypatch.setattr(kendall, "BLOCK", 1)
    torch.testing.assert_close(pairwise_kendall_tau(frames, lengths), expected, equal_nan=True, rtol=0, atol=0)
    half = frames.bfloat16()
    torch.testing.assert_close(
        pairwise_kendall_tau(half, lengths), pairwise_kendall_tau(half.float(), lengths), equal_nan=True
    )


def test_of_equally_near_frames_the_earliest_is_taken():
    frames = torch.tensor([[[0.0], [1.0], [7.0]], [[0.0], [1.0], [0.0]]])
    assert pairwise_kendall_tau(frames, torch.tensor([2, 3]))[0, 1] == 1  # the last frame would make it -1


@pytest.mark.slow
def test_a_hundred_videos_take_less_than_ten_seconds():
    frames, lengths = torch.randn(100, 300, 32, generator=torch.Generator().manual_seed(0)), torch.full((100,), 300)
    start = time.process_time()  # of one thread, so other programs do not count
    assert pairwise_kendall_tau(frames, lengths).nansum().isfinite()
    assert time.process_time() - start < 10
