"""The functions and the metric classes against plain loops over videos and frames."""

import itertools
import math
import pickle
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tpl_lightning.functional.scores import key_events as event_scores
from tpl_lightning.functional.scores import phases as phase_scores
from tpl_lightning.metrics import CycleBackConsistency, KeyEventSpread, PhaseLabelPropagation

NUM_ACTIONS, NUM_PHASES = 3, 4
PROTOTYPE_LENGTHS = [7, 1, 12]
SIZES = {"num_actions": NUM_ACTIONS, "num_phases": NUM_PHASES, "max_length": max(PROTOTYPE_LENGTHS)}
EVENT_SIZES = {"num_actions": NUM_ACTIONS, "num_phases": NUM_PHASES}


@dataclass
class Video:
    action: int
    labels: list[int]
    position: list[float]
    source: list[float]

    @property
    def points(self):
        return PROTOTYPE_LENGTHS[self.action]


def make_video(rng, *, action=None, length=None, unlabelled=0.2):
    action = int(rng.integers(NUM_ACTIONS)) if action is None else action
    length = int(rng.integers(1, 20)) if length is None else length
    labels = rng.integers(0, NUM_PHASES, length)
    labels[rng.random(length) < unlabelled] = -1
    # Multiples of 1/8 meet exact halves of an index; the rest are arbitrary float32 numbers.
    position = np.sort(np.where(rng.random(length) < 0.5, rng.integers(0, 9, length) / 8, rng.random(length)))
    points = PROTOTYPE_LENGTHS[action]
    source = np.sort(np.where(rng.random(points) < 0.5, rng.integers(0, 11, points) / 8, 1.2 * rng.random(points)))
    as_floats = [x.astype(np.float32).astype(float).tolist() for x in (position, source)]
    return Video(action, labels.tolist(), *as_floats)


def make_videos(seed, count=25, **options):
    rng = np.random.default_rng(seed)
    return [make_video(rng, **options) for _ in range(count)]


def collate(videos, *, extra=0, junk=False):
    """Pad; with junk, padding holds values that would change every score if they were read."""
    frames = max([len(v.labels) for v in videos] + [1]) + extra
    points = max([v.points for v in videos] + [1]) + extra
    labels = torch.full((len(videos), frames), 1 if junk else -1)
    position = torch.full((len(videos), frames), 0.7 if junk else 0.0)
    source = torch.full((len(videos), points), 0.3 if junk else 2.0)
    for i, video in enumerate(videos):
        labels[i, : len(video.labels)] = torch.tensor(video.labels)
        position[i, : len(video.labels)] = torch.tensor(video.position)
        source[i, : video.points] = torch.tensor(video.source)
    return {
        "position": position,
        "labels": labels,
        "lengths": torch.tensor([len(v.labels) for v in videos], dtype=torch.int64),
        "action": torch.tensor([v.action for v in videos], dtype=torch.int64),
        "source_position": source,
        "prototype_length": torch.tensor([v.points for v in videos], dtype=torch.int64),
    }


def without(batch, name):
    return {k: v for k, v in batch.items() if k != name}


def event_arguments(batch):
    return {k: batch[k] for k in ("position", "labels", "lengths", "action")}


# ---------------------------------------------------------------- reference: one frame after the other


def reference_votes(videos):
    votes = np.zeros((NUM_ACTIONS, max(PROTOTYPE_LENGTHS), NUM_PHASES), dtype=int)
    for video in videos:
        for point, time in enumerate(video.source):
            if time > 1 + 1e-6:
                continue
            label = video.labels[round(min(time, 1.0) * (len(video.labels) - 1))]
            if label >= 0:
                votes[video.action, point, label] += 1
    return votes


def reference_labels(votes):
    labels = np.full(votes.shape[:2], -1)
    for action in range(votes.shape[0]):
        for point in range(votes.shape[1]):
            best = 0
            for phase, count in enumerate(votes[action, point]):
                if count > best:
                    best, labels[action, point] = count, phase
    return labels


def reference_score(video, labels):
    right = [
        labels[video.action, round(time * (video.points - 1))] == label
        for label, time in zip(video.labels, video.position, strict=True)
        if label >= 0
    ]
    return sum(right) / len(right) if right else math.nan


def reference_mean(videos, labels, action=None):
    scores = [reference_score(v, labels) for v in videos if action in (None, v.action)]
    scores = [s for s in scores if not math.isnan(s)]
    return sum(scores) / len(scores) if scores else math.nan


def reference_spread(videos, actions=range(NUM_ACTIONS)):
    spreads = []
    for action in actions:
        for phase in range(1, NUM_PHASES):
            times = [v.position[v.labels.index(phase)] for v in videos if v.action == action and phase in v.labels]
            if len(times) >= 2:
                spreads.append(float(np.std(times)))
    return sum(spreads) / len(spreads) if spreads else math.nan


def close(value, expected):
    return value == pytest.approx(expected, abs=1e-7, nan_ok=True)


# ---------------------------------------------------------------- functions


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("junk", [False, True])
def test_functions_equal_loops(seed, junk):
    videos = make_videos(seed)
    batch = collate(videos, extra=3, junk=junk)
    votes = phase_scores.prototype_votes(**without(batch, "position"), **SIZES)
    assert votes.dtype == torch.int64
    np.testing.assert_array_equal(votes, reference_votes(videos))
    labels = phase_scores.prototype_labels(votes)
    np.testing.assert_array_equal(labels, reference_labels(reference_votes(videos)))
    scores = phase_scores.cycle_back_consistency(**without(batch, "source_position"), prototype_labels=labels)
    expected = [reference_score(v, labels.numpy()) for v in videos]
    assert close(scores.tolist(), expected)
    shares, count = phase_scores.label_shares(**without(batch, "source_position"), **SIZES)
    by_sum = phase_scores.agreement_sum(shares, labels) / count
    assert close(by_sum.tolist(), [reference_mean(videos, labels.numpy(), a) for a in range(NUM_ACTIONS)])
    spread = event_scores.key_event_spread(**event_arguments(batch), **EVENT_SIZES)
    assert close(spread.item(), reference_spread(videos))


def test_prototype_index_rounds_halves_to_even_and_stays_inside():
    position = torch.tensor([[0.0, 0.25, 0.75, 1.0, -1e-6, 1.01]])
    assert phase_scores.prototype_index(position, torch.tensor([3])).tolist() == [[0, 0, 2, 2, 0, 2]]
    assert phase_scores.prototype_index(position, torch.tensor([1])).tolist() == [[0] * 6]


def test_prototype_index_is_rounded_in_float64():
    sixth = torch.tensor([[1 / 6]], dtype=torch.float32)  # a little above 1/6; 3 times that is 1/2 in float32
    assert (sixth * 3).item() == 0.5
    assert phase_scores.prototype_index(sixth, torch.tensor([4])).item() == round(sixth.item() * 3) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_grid_points_find_their_own_index(dtype):
    for length in range(2, 400):
        grid = torch.linspace(0, 1, length, dtype=dtype).unsqueeze(0)
        assert torch.equal(phase_scores.prototype_index(grid, torch.tensor([length]))[0], torch.arange(length))


def test_ties_go_to_the_lower_label_and_empty_points_to_none():
    votes = torch.tensor([[[0, 2, 2], [0, 0, 0], [3, 1, 3], [0, 0, 1]]])
    assert phase_scores.prototype_labels(votes).tolist() == [[1, -1, 0, 2]]


def test_points_past_the_video_do_not_vote():
    # A video of 3 frames, zero-padded on a prototype of 5 points; 1 + 1e-7 is rounding, not past the end.
    source = torch.tensor([[0.0, 0.5, 1.0 + 1.2e-7, 1.5, 2.0]])
    size = {"num_actions": 1, "num_phases": 3, "max_length": 5}
    one = torch.tensor([0])
    votes = phase_scores.prototype_votes(
        torch.tensor([[0, 1, 2]]), torch.tensor([3]), one, source, torch.tensor([5]), **size
    )
    assert phase_scores.prototype_labels(votes).tolist() == [[0, 1, 2, -1, -1]]
    # Frames that face the unlabelled points are wrong.
    score = phase_scores.cycle_back_consistency(
        torch.tensor([[0.0, 0.25, 0.75, 1.0]]),
        torch.tensor([[0, 1, 2, -1]]),
        torch.tensor([4]),
        one,
        torch.tensor([5]),
        phase_scores.prototype_labels(votes),
    )
    assert score.item() == pytest.approx(2 / 3)


def test_broken_warps_do_not_vote():
    source = torch.tensor([[math.nan, math.inf, 0.0]])
    votes = phase_scores.prototype_votes(
        torch.tensor([[0, 1]]),
        torch.tensor([2]),
        torch.tensor([0]),
        source,
        torch.tensor([3]),
        num_actions=1,
        num_phases=2,
        max_length=3,
    )
    assert phase_scores.prototype_labels(votes).tolist() == [[-1, -1, 0]]


def test_first_frame_of_a_phase_is_the_event():
    times, happens = event_scores.key_events(
        torch.tensor([[0.0, 0.25, 0.5, 0.75, 1.0]]),
        torch.tensor([[0, 2, 1, 2, 3]]),
        torch.tensor([4]),  # the last frame is padding
        num_phases=NUM_PHASES,
    )
    assert happens.tolist() == [[False, True, True, False]]
    assert times.tolist() == [[0.0, 0.5, 0.25, 0.0]]


def test_spread_of_equal_times_is_zero():
    position = torch.full((50, 2), 1 / 3)
    labels = torch.tensor([[0, 1]]).expand(50, 2)
    spread = event_scores.key_event_spread(
        position, labels, torch.full((50,), 2), torch.zeros(50, dtype=torch.int64), num_actions=1, num_phases=2
    )
    assert spread.item() == pytest.approx(0.0, abs=1e-7)


# ---------------------------------------------------------------- metrics


@pytest.mark.parametrize("seed", range(5))
def test_metrics_equal_loops(seed):
    train, test = make_videos(seed), make_videos(100 + seed, count=12)
    train_batch, test_batch = collate(train), collate(test)
    cbc, plp, spread = CycleBackConsistency(**SIZES), PhaseLabelPropagation(**SIZES), KeyEventSpread(**EVENT_SIZES)
    cbc.update(**train_batch)
    plp.update_prototype(**without(train_batch, "position"))
    plp.update(**without(test_batch, "source_position"))
    spread.update(*event_arguments(test_batch).values())
    labels = reference_labels(reference_votes(train))
    actions = range(NUM_ACTIONS)
    assert close(cbc.compute().item(), reference_mean(train, labels))
    assert close(cbc.per_action().tolist(), [reference_mean(train, labels, a) for a in actions])
    assert close(plp.compute().item(), reference_mean(test, labels))
    assert close(plp.per_action().tolist(), [reference_mean(test, labels, a) for a in actions])
    assert close(spread.compute().item(), reference_spread(test))
    assert close(spread.per_action().tolist(), [reference_spread(test, [a]) for a in actions])
    for metric in (cbc, plp):
        np.testing.assert_array_equal(metric.prototype_labels(), labels)
        assert metric.compute().dtype == torch.float64


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 16), max_size=4), extra=st.integers(0, 5))
def test_batches_and_padding_change_nothing(seed, cuts, extra):
    videos = make_videos(seed, count=16)
    whole, split = collate(videos), [0, *sorted(cuts), 16]
    cbc, parts_cbc = CycleBackConsistency(**SIZES), CycleBackConsistency(**SIZES)
    spread, parts_spread = KeyEventSpread(**EVENT_SIZES), KeyEventSpread(**EVENT_SIZES)
    cbc.update(**whole)
    spread.update(**event_arguments(whole))
    for start, stop in itertools.pairwise(split):  # parts may be empty
        part = collate(videos[start:stop], extra=extra, junk=True)
        parts_cbc.update(**part)
        parts_spread.update(**event_arguments(part))
    assert torch.equal(cbc.votes, parts_cbc.votes)
    assert close(parts_cbc.compute().item(), cbc.compute().item())
    assert close(parts_cbc.per_action().tolist(), cbc.per_action().tolist())
    assert close(parts_spread.compute().item(), spread.compute().item())


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_cbc_is_one_when_the_warps_are_exact(seed):
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


def test_scored_videos_never_label_the_prototype():
    train, test = make_videos(0), make_videos(1)
    plp = PhaseLabelPropagation(**SIZES)
    plp.update_prototype(**without(collate(train), "position"))
    before, votes = plp.prototype_labels(), plp.votes.clone()
    plp.update(**without(collate(test), "source_position"))
    assert torch.equal(plp.votes, votes)
    assert torch.equal(plp.prototype_labels(), before)
    assert plp.videos.sum() == sum(any(label >= 0 for label in v.labels) for v in test)


def test_plp_with_finished_labels_equals_plp_with_votes():
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


def test_plp_leaves_out_actions_without_a_prototype():
    rng = np.random.default_rng(5)
    train = [make_video(rng, action=0) for _ in range(5)]
    test = [make_video(rng, action=a) for a in (0, 0, 2)]
    plp = PhaseLabelPropagation(**SIZES)
    plp.update_prototype(**without(collate(train), "position"))
    plp.update(**without(collate(test), "source_position"))
    labels = reference_labels(reference_votes(train))
    assert close(plp.compute().item(), reference_mean(test, labels, action=0))
    assert close(plp.per_action().tolist(), [reference_mean(test, labels, action=0), math.nan, math.nan])


def test_empty_metrics_are_nan_without_a_warning_where_that_is_usual():
    plp = PhaseLabelPropagation(**SIZES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert plp.compute().isnan()
        plp.update_prototype(**without(collate(make_videos(0)), "position"))
        assert plp.compute().isnan()
    assert plp.per_action().isnan().all()
    without_prototype = PhaseLabelPropagation(**SIZES)
    without_prototype.update(**without(collate(make_videos(0)), "source_position"))
    assert without_prototype.compute().isnan()
    for metric in (CycleBackConsistency(**SIZES), KeyEventSpread(**EVENT_SIZES)):
        with pytest.warns(UserWarning, match="before the ``update``"):
            assert metric.compute().isnan()
        assert metric.per_action().isnan().all()


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


def test_reset_empties_everything():
    batch = collate(make_videos(0))
    plp, cbc, spread = PhaseLabelPropagation(**SIZES), CycleBackConsistency(**SIZES), KeyEventSpread(**EVENT_SIZES)
    plp.update_prototype(**without(batch, "position"))
    plp.update(**without(batch, "source_position"))
    cbc.update(**batch)
    spread.update(**event_arguments(batch))
    for metric in (plp, cbc, spread):
        metric.compute()
        metric.reset()
        assert not metric.update_called
        assert all((state == 0).all() for name, state in metric.metric_state.items() if name != "apart")
    cbc.update(**batch)
    assert cbc.compute() > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_casting_a_module_leaves_the_sums_alone(dtype):
    metric = CycleBackConsistency(**SIZES)
    module = torch.nn.ModuleList([torch.nn.Linear(2, 2), metric]).to(dtype)
    assert module[0].weight.dtype == dtype
    assert (metric.votes.dtype, metric.shares.dtype) == (torch.int64, torch.float64)
    metric.reset()
    assert metric.shares.dtype == torch.float64


def test_states_reset_in_inference_mode_can_be_used_outside():
    metric, batch = CycleBackConsistency(**SIZES), collate(make_videos(0))
    with torch.inference_mode():
        metric.update(**batch)
        expected = metric.compute()
        metric.reset()
    metric.update(**batch)
    assert torch.equal(metric.compute(), expected)


def test_metrics_keep_their_sums_when_pickled():
    batch = collate(make_videos(0))
    plp = PhaseLabelPropagation(**SIZES)
    plp.update_prototype(**without(batch, "position"))
    plp.update(**without(batch, "source_position"))
    cbc, spread = CycleBackConsistency(**SIZES), KeyEventSpread(**EVENT_SIZES)
    cbc.update(**batch)
    spread.update(**event_arguments(batch))
    for metric in (plp, cbc, spread):
        copy = pickle.loads(pickle.dumps(metric))
        assert torch.equal(copy.compute(), metric.compute())
        torch.testing.assert_close(copy.per_action(), metric.per_action(), rtol=0, atol=0, equal_nan=True)
    copy = pickle.loads(pickle.dumps(plp))
    copy.reset()
    copy.update(**without(batch, "source_position"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert copy.compute().isnan()


def test_forward_gives_the_value_of_the_batch_and_adds_up():
    batches = [collate(make_videos(seed)) for seed in (0, 1)]
    forwarded, updated = CycleBackConsistency(**SIZES), CycleBackConsistency(**SIZES)
    for batch in batches:
        alone = CycleBackConsistency(**SIZES)
        alone.update(**batch)
        assert torch.equal(forwarded(**batch), alone.compute())
        updated.update(**batch)
    assert close(forwarded.compute().item(), updated.compute().item())
