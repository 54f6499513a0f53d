"""Cycle-back consistency against plain loops over videos and frames."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labelled_videos import (
    NUM_ACTIONS,
    PROTOTYPE_LENGTHS,
    SIZES,
    close,
    collate,
    make_video,
    make_videos,
    reference_labels,
    reference_mean,
    reference_votes,
)
from tpl_lightning.metrics import CycleBackConsistency


@pytest.mark.parametrize("seed", range(5))
def test_it_is_that_of_loops(seed):
    videos = make_videos(seed)
    cbc = CycleBackConsistency(**SIZES)
    cbc.update(**collate(videos))
    labels = reference_labels(reference_votes(videos))
    assert close(cbc.compute().item(), reference_mean(videos, labels))
    assert close(cbc.per_action().tolist(), [reference_mean(videos, labels, a) for a in range(NUM_ACTIONS)])
    np.testing.assert_array_equal(cbc.prototype_labels(), labels)
    assert cbc.compute().dtype == torch.float64


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 16), max_size=4), extra=st.integers(0, 5))
def test_batches_and_padding_change_nothing(seed, cuts, extra):
    videos = make_videos(seed, count=16)
    whole, parts = CycleBackConsistency(**SIZES), CycleBackConsistency(**SIZES)
    whole.update(**collate(videos))
    for start, stop in itertools.pairwise([0, *sorted(cuts), 16]):  # parts may be empty
        parts.update(**collate(videos[start:stop], extra=extra, junk=True))
    assert torch.equal(whole.votes, parts.votes)
    assert close(parts.compute().item(), whole.compute().item())
    assert close(parts.per_action().tolist(), whole.per_action().tolist())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_it_is_one_when_the_warps_are_exact(seed):
    """Videos that are the same labels at the same speed agree with themselves."""
    rng = np.random.default_rng(seed)
    action = int(rng.integers(NUM_ACTIONS))
    video = make_video(rng, action=action, length=PROTOTYPE_LENGTHS[action], unlabelled=0.0)
    video.position = video.source = torch.linspace(0, 1, video.points).tolist()
    cbc = CycleBackConsistency(**SIZES)
    cbc.update(**collate([video] * 3))
    assert cbc.compute().item() == pytest.approx(1.0)
    assert cbc.prototype_labels()[action, : video.points].tolist() == video.labels


def test_unlabelled_videos_are_left_out():
    rng = np.random.default_rng(3)
    labelled = [make_video(rng, action=0, unlabelled=0.0) for _ in range(4)]
    silent = [make_video(rng, action=a, unlabelled=1.0) for a in (0, 2, 2)]
    cbc, both = CycleBackConsistency(**SIZES), CycleBackConsistency(**SIZES)
    cbc.update(**collate(labelled))
    both.update(**collate(silent + labelled))
    assert close(both.compute().item(), cbc.compute().item())
    per_action = both.per_action()
    assert close(per_action.tolist(), [cbc.compute().item(), math.nan, math.nan])
    only_silent = CycleBackConsistency(**SIZES)
    only_silent.update(**collate(silent))
    assert only_silent.compute().isnan()
    assert (only_silent.prototype_labels() == -1).all()
