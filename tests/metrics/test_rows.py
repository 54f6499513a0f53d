"""Frames that metrics on embeddings keep: each video once, whatever the batches, their padding and their type."""

import pytest
import torch

from tests.embedded_videos import SIZES, make_batch, without_labels
from tpl_lightning.metrics import KendallsTau, PhaseAccuracy


def _tau(*batches):
    metric = KendallsTau(**SIZES)
    for batch in batches:
        metric.update(**without_labels(batch))
    return metric


def test_order_batches_and_padding_change_nothing():
    whole = _tau(make_batch(range(9)))
    parts = _tau(make_batch([7, 2]), make_batch([]), make_batch([8, 0, 1, 3], frames=15), make_batch([6, 5, 4]))
    wider = make_batch(range(9))
    wider["embeddings"] = torch.nn.functional.pad(wider["embeddings"], (0, 0, 0, 4), value=float("nan"))
    for other in (parts, _tau(wider)):
        assert torch.equal(other.compute(), whole.compute())
        assert torch.equal(other.per_action(), whole.per_action())


def test_a_video_that_comes_twice_counts_once_and_as_it_came_first():
    first, again = make_batch([0, 2, 4]), make_batch([4, 6], seed=5)
    together = make_batch([6], seed=5)
    assert torch.equal(_tau(first, again).compute(), _tau(first, together).compute())
    assert _tau(make_batch([0, 2]), make_batch([2])).totals()[1].tolist() == [2, 0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_frames_are_kept_in_single_precision(dtype):
    batch = make_batch(range(6))
    batch["embeddings"] = batch["embeddings"].clamp(max=1e4).to(dtype)
    metric = _tau(batch)
    assert metric.all_frames[0].dtype == torch.float32
    assert torch.equal(metric.compute(), _tau({**batch, "embeddings": batch["embeddings"].float()}).compute())


@pytest.mark.parametrize("shape", [(2, 15, 2), (15, 4)])
def test_wrong_channels_are_refused(shape):
    batch = make_batch([0, 1])
    batch["embeddings"] = torch.zeros(shape)
    with pytest.raises((ValueError, TypeError), match=r"4 channels|embeddings"):  # TypeError: where shapes are checked
        KendallsTau(**SIZES).update(**without_labels(batch))
    for add in ("update", "update_train"):
        with pytest.raises((ValueError, TypeError), match=r"4 channels|embeddings"):
            getattr(PhaseAccuracy(**SIZES), add)(**batch)
