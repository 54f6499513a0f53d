"""Votes, labels of prototypes and scores by them against plain loops over videos and frames."""

import math

import numpy as np
import pytest
import torch

from tests.labelled_videos import (
    NUM_ACTIONS,
    SIZES,
    close,
    collate,
    make_videos,
    reference_labels,
    reference_mean,
    reference_score,
    reference_votes,
    without,
)
from tpl_lightning.functional.scores.phases import (
    agreement_sum,
    cycle_back_consistency,
    histogram,
    label_shares,
    labelled_frames,
    prototype_index,
    prototype_labels,
    prototype_votes,
)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("junk", [False, True])
def test_votes_labels_and_scores_are_those_of_loops(seed, junk):
    videos = make_videos(seed)
    batch = collate(videos, extra=3, junk=junk)
    votes = prototype_votes(**without(batch, "position"), **SIZES)
    assert votes.dtype == torch.int64
    np.testing.assert_array_equal(votes, reference_votes(videos))
    labels = prototype_labels(votes)
    np.testing.assert_array_equal(labels, reference_labels(reference_votes(videos)))
    scores = cycle_back_consistency(**without(batch, "source_position"), prototype_labels=labels)
    assert close(scores.tolist(), [reference_score(v, labels.numpy()) for v in videos])
    shares, count = label_shares(**without(batch, "source_position"), **SIZES)
    by_sum = agreement_sum(shares, labels) / count
    assert close(by_sum.tolist(), [reference_mean(videos, labels.numpy(), a) for a in range(NUM_ACTIONS)])


def test_prototype_index_rounds_halves_to_even_and_stays_inside():
    position = torch.tensor([[0.0, 0.25, 0.75, 1.0, -1e-6, 1.01]])
    assert prototype_index(position, torch.tensor([3])).tolist() == [[0, 0, 2, 2, 0, 2]]
    assert prototype_index(position, torch.tensor([1])).tolist() == [[0] * 6]


def test_prototype_index_is_rounded_in_float64():
    sixth = torch.tensor([[1 / 6]], dtype=torch.float32)  # a little above 1/6; 3 times that is 1/2 in float32
    assert (sixth * 3).item() == 0.5
    assert prototype_index(sixth, torch.tensor([4])).item() == round(sixth.item() * 3) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_grid_points_find_their_own_index(dtype):
    for length in range(2, 400):
        grid = torch.linspace(0, 1, length, dtype=dtype).unsqueeze(0)
        assert torch.equal(prototype_index(grid, torch.tensor([length]))[0], torch.arange(length))


def test_ties_go_to_the_lower_label_and_empty_points_to_none():
    votes = torch.tensor([[[0, 2, 2], [0, 0, 0], [3, 1, 3], [0, 0, 1]]])
    assert prototype_labels(votes).tolist() == [[1, -1, 0, 2]]


def test_points_past_the_video_do_not_vote():
    # A video of 3 frames, zero-padded on a prototype of 5 points; 1 + 1e-7 is rounding, not past the end.
    source = torch.tensor([[0.0, 0.5, 1.0 + 1.2e-7, 1.5, 2.0]])
    size = {"num_actions": 1, "num_phases": 3, "max_length": 5}
    one = torch.tensor([0])
    votes = prototype_votes(torch.tensor([[0, 1, 2]]), torch.tensor([3]), one, source, torch.tensor([5]), **size)
    assert prototype_labels(votes).tolist() == [[0, 1, 2, -1, -1]]
    # Frames that face the unlabelled points are wrong.
    score = cycle_back_consistency(
        torch.tensor([[0.0, 0.25, 0.75, 1.0]]),
        torch.tensor([[0, 1, 2, -1]]),
        torch.tensor([4]),
        one,
        torch.tensor([5]),
        prototype_labels(votes),
    )
    assert score.item() == pytest.approx(2 / 3)


def test_broken_warps_do_not_vote():
    source = torch.tensor([[math.nan, math.inf, 0.0]])
    votes = prototype_votes(
        torch.tensor([[0, 1]]),
        torch.tensor([2]),
        torch.tensor([0]),
        source,
        torch.tensor([3]),
        num_actions=1,
        num_phases=2,
        max_length=3,
    )
    assert prototype_labels(votes).tolist() == [[-1, -1, 0]]


def test_frames_that_face_no_point_are_wrong():
    """The first frame idles before the action and the last one after it; both have the label of the nearest point."""
    batch = {
        "position": torch.tensor([[-1.0, 0.0, 0.5, 1.0, 2.0]]),
        "labels": torch.tensor([[0, 0, 1, 1, 1]]),
        "lengths": torch.tensor([5]),
        "action": torch.tensor([0]),
        "prototype_length": torch.tensor([3]),
    }
    labels = torch.tensor([[0, 1, 1]])
    assert cycle_back_consistency(**batch, prototype_labels=labels).item() == pytest.approx(3 / 5)
    shares, videos = label_shares(**batch, num_actions=1, num_phases=2, max_length=3)
    torch.testing.assert_close(shares, torch.tensor([[[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]]).double() / 5)
    assert videos.tolist() == [1]


def test_a_video_alone_scores_as_among_others():
    videos = make_videos(3)
    labels = torch.from_numpy(reference_labels(reference_votes(videos)))
    together = cycle_back_consistency(**without(collate(videos), "source_position"), prototype_labels=labels)
    for video, score in zip(videos, together, strict=True):
        alone = cycle_back_consistency(**without(collate([video]), "source_position"), prototype_labels=labels)
        torch.testing.assert_close(alone[0], score, rtol=0, atol=0, equal_nan=True)


def test_votes_and_shares_of_parts_add_up():
    videos = make_videos(4)
    whole, parts = collate(videos), [collate(videos[:9]), collate(videos[9:], extra=2, junk=True)]
    votes = [prototype_votes(**without(batch, "position"), **SIZES) for batch in (whole, *parts)]
    assert torch.equal(votes[0], votes[1] + votes[2])
    shares = [label_shares(**without(batch, "source_position"), **SIZES) for batch in (whole, *parts)]
    assert torch.equal(shares[0][1], shares[1][1] + shares[2][1])
    torch.testing.assert_close(shares[0][0], shares[1][0] + shares[2][0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_times_in_half_precision_are_rounded_to_points_as_what_they_are(dtype):
    """Their product with the length is not rounded to so few bits."""
    position = torch.rand(4, 300, generator=torch.Generator().manual_seed(0)).to(dtype)
    length = torch.tensor([300, 257, 31, 1])
    expected = [
        [round(float(time) * (n - 1)) for time in row] for row, n in zip(position, length.tolist(), strict=True)
    ]
    assert prototype_index(position, length).tolist() == expected


def test_a_point_without_a_label_agrees_with_no_frame():
    shares = torch.tensor([[[0.5, 0.25], [0.125, 0.0]], [[0.0, 2.0], [1.0, 0.0]]], dtype=torch.float64)
    assert agreement_sum(shares, torch.tensor([[1, -1], [1, 0]])).tolist() == [0.25, 3.0]


def test_labelled_frames_lie_within_the_video():
    labels = torch.tensor([[0, -1, 2, 1], [3, 0, 0, 0]])
    assert labelled_frames(labels, torch.tensor([3, 1])).tolist() == [[True, False, True, False], [True] + [False] * 3]


def test_a_histogram_adds_up_weights():
    generator = torch.Generator().manual_seed(5)
    index, weights = torch.randint(0, 12, (5, 40), generator=generator), torch.rand(5, 40, generator=generator)
    expected = np.bincount(index.flatten().numpy(), weights.flatten().numpy(), minlength=12)
    np.testing.assert_allclose(histogram(index, weights.double(), (3, 4)).flatten().numpy(), expected, rtol=1e-12)
