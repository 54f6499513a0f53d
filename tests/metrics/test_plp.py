"""Phase label propagation against plain loops, and what labels the prototype."""

import math
import pickle
import warnings

import numpy as np
import pytest
import torch

from tests.labelled_videos import (
    NUM_ACTIONS,
    SIZES,
    close,
    collate,
    make_video,
    make_videos,
    reference_labels,
    reference_mean,
    reference_votes,
    without,
)
from tpl_lightning.metrics import PhaseLabelPropagation


@pytest.mark.parametrize("seed", range(5))
def test_it_is_that_of_loops(seed):
    train, test = make_videos(seed), make_videos(100 + seed, count=12)
    plp = PhaseLabelPropagation(**SIZES)
    plp.update_prototype(**without(collate(train), "position"))
    for part in (test[:5], test[5:]):
        plp.update(**without(collate(part), "source_position"))
    labels = reference_labels(reference_votes(train))
    assert close(plp.compute().item(), reference_mean(test, labels))
    assert close(plp.per_action().tolist(), [reference_mean(test, labels, a) for a in range(NUM_ACTIONS)])
    np.testing.assert_array_equal(plp.prototype_labels(), labels)
    assert plp.compute().dtype == torch.float64


def test_scored_videos_never_label_the_prototype():
    train, test = make_videos(0), make_videos(1)
    plp = PhaseLabelPropagation(**SIZES)
    plp.update_prototype(**without(collate(train), "position"))
    before, votes = plp.prototype_labels(), plp.votes.clone()
    plp.update(**without(collate(test), "source_position"))
    assert torch.equal(plp.votes, votes)
    assert torch.equal(plp.prototype_labels(), before)
    assert plp.videos.sum() == sum(any(label >= 0 for label in v.labels) for v in test)


def test_finished_labels_do_as_the_votes_they_come_from():
    train, test = make_videos(0), without(collate(make_videos(1)), "source_position")
    voted, given_labels = PhaseLabelPropagation(**SIZES), PhaseLabelPropagation(**SIZES)
    voted.update_prototype(**without(collate(train), "position"))
    given_labels.update_prototype(**without(collate(make_videos(7)), "position"))  # replaced below
    given_labels.set_prototype_labels(voted.prototype_labels().to(torch.int16))
    for metric in (voted, given_labels):
        metric.update(**test)
    assert torch.equal(given_labels.prototype_labels(), voted.prototype_labels())
    assert torch.equal(given_labels.compute(), voted.compute())


def test_narrower_labels_leave_the_rest_unlabelled():
    plp = PhaseLabelPropagation(**SIZES)
    plp.set_prototype_labels(torch.zeros(NUM_ACTIONS, 2, dtype=torch.int64))
    assert plp.prototype_labels()[0].tolist() == [0, 0] + [-1] * (SIZES["max_length"] - 2)


@pytest.mark.parametrize("shape", [(NUM_ACTIONS + 1, 2), (NUM_ACTIONS, 99), (NUM_ACTIONS,)])
def test_labels_of_a_wrong_shape_are_refused(shape):
    with pytest.raises(ValueError, match="Expected `labels` of shape"):
        PhaseLabelPropagation(**SIZES).set_prototype_labels(torch.zeros(shape, dtype=torch.int64))


def test_actions_without_a_prototype_are_left_out():
    rng = np.random.default_rng(5)
    train = [make_video(rng, action=0) for _ in range(5)]
    test = [make_video(rng, action=a) for a in (0, 0, 2)]
    plp = PhaseLabelPropagation(**SIZES)
    plp.update_prototype(**without(collate(train), "position"))
    plp.update(**without(collate(test), "source_position"))
    labels = reference_labels(reference_votes(train))
    assert close(plp.compute().item(), reference_mean(test, labels, action=0))
    assert close(plp.per_action().tolist(), [reference_mean(test, labels, action=0), math.nan, math.nan])


def test_without_videos_it_is_nan_without_a_warning():
    plp = PhaseLabelPropagation(**SIZES)
    copy = pickle.loads(pickle.dumps(plp))
    for metric in (plp, copy):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert metric.compute().isnan()
            metric.update_prototype(**without(collate(make_videos(0)), "position"))
            assert metric.compute().isnan()
        assert metric.per_action().isnan().all()
    without_prototype = PhaseLabelPropagation(**SIZES)
    without_prototype.update(**without(collate(make_videos(0)), "source_position"))
    assert without_prototype.compute().isnan()


def test_only_update_counts_as_update_and_a_new_prototype_drops_the_stored_value():
    train, test = collate(make_videos(0)), without(collate(make_videos(1)), "source_position")
    plp = PhaseLabelPropagation(**SIZES)
    plp.update_prototype(**without(train, "position"))
    plp.set_prototype_labels(plp.prototype_labels())
    assert not plp.update_called
    plp.update(**test)
    assert plp.update_called
    first = plp.compute()
    plp.set_prototype_labels(torch.full((NUM_ACTIONS, SIZES["max_length"]), -1))
    assert plp.compute().isnan()
    plp.update_prototype(**without(train, "position"))
    assert torch.equal(plp.compute(), first)
