"""Two processes with unequal numbers of videos, one of them maybe without any, against a single process."""

import pytest
import torch

from tests.embedded_videos import SIZES as EMBEDDING_SIZES
from tests.embedded_videos import make_batch as make_embeddings
from tests.embedded_videos import without_labels
from tests.labelled_videos import event_arguments, without
from tests.ranks import on_two_ranks
from tpl_lightning.metrics import (
    CycleBackConsistency,
    KendallsTau,
    KeyEventSpread,
    PhaseAccuracy,
    PhaseLabelPropagation,
)

NUM_ACTIONS, NUM_PHASES, MAX_LENGTH = 2, 3, 9
SIZES = {"num_actions": NUM_ACTIONS, "num_phases": NUM_PHASES, "max_length": MAX_LENGTH}
# Batches of each rank, as numbers of videos; three cases run in the same pair of processes.
CASES = {"unequal": ([5, 3], [2]), "first empty": ([], [4, 1]), "second empty": ([7], [])}


def make_batch(count, seed):
    generator = torch.Generator().manual_seed(seed)
    frames = 11
    labels = torch.randint(-1, NUM_PHASES, (count, frames), generator=generator)
    action = torch.arange(count) % NUM_ACTIONS
    return {
        "position": torch.rand(count, frames, generator=generator).sort(1).values,
        "labels": labels,
        "lengths": torch.randint(1, frames + 1, (count,), generator=generator),
        "action": action,
        "source_position": torch.rand(count, MAX_LENGTH, generator=generator).sort(1).values,
        "prototype_length": torch.tensor([MAX_LENGTH, 4])[action],
    }


def rank_batches(counts, rank):
    return [make_batch(count, seed=100 * rank + i) for i, count in enumerate(counts)]


def fill(train, test):
    """Feed train batches to CBC and as prototypes to PLP, test batches to the rest."""
    cbc, plp, fixed = CycleBackConsistency(**SIZES), PhaseLabelPropagation(**SIZES), PhaseLabelPropagation(**SIZES)
    spread = KeyEventSpread(num_actions=NUM_ACTIONS, num_phases=NUM_PHASES)
    labels = torch.arange(NUM_ACTIONS * MAX_LENGTH).view(NUM_ACTIONS, MAX_LENGTH) % (NUM_PHASES + 1) - 1
    for batch in train:
        cbc.update(**batch)
        plp.update_prototype(**without(batch, "position"))
    for batch in test:
        if not fixed.update_called:  # a rank without videos never hears of the labels
            fixed.set_prototype_labels(labels)
        plp.update(**without(batch, "source_position"))
        fixed.update(**without(batch, "source_position"))
        spread.update(**event_arguments(batch))
    return cbc, plp, fixed, spread


def results(metrics):
    found = {}
    for name, metric in zip(("cbc", "plp", "fixed", "spread"), metrics, strict=True):
        found[f"{name} per action before"] = metric.per_action()
        found[name] = metric.compute()
        found[f"{name} per action"] = metric.per_action()
        if name != "spread":
            found[f"{name} labels"] = metric.prototype_labels()
    return found


def embedding_results(numbers, accuracy=None, tau=None):
    """Even numbers train, odd ones test; a sampler that fills up shows a video to both processes."""
    accuracy = PhaseAccuracy(**EMBEDDING_SIZES) if accuracy is None else accuracy
    tau = KendallsTau(**EMBEDDING_SIZES) if tau is None else tau
    train, test = [n for n in numbers if n // 2 % 2 == 0], [n for n in numbers if n // 2 % 2]
    if train:
        accuracy.update_train(**make_embeddings(train))
    if test:
        accuracy.update(**make_embeddings(test))
    if numbers:
        tau.update(**without_labels(make_embeddings(numbers)))
    return {
        "accuracy per action": accuracy.per_action(),
        "accuracy": accuracy.compute(),
        "tau per action": tau.per_action(),
        "tau": tau.compute(),
    }


EMBEDDED = {"unequal": (range(11), range(10, 16)), "first empty": ((), range(9)), "second empty": (range(9), ())}


def work(rank):
    found = {}
    for case, counts in CASES.items():
        own = rank_batches(counts[rank], rank)
        metrics = fill(own, own[::-1])
        before = {k: v.clone() for k, v in metrics[0].metric_state.items()}
        found[case] = results(metrics)
        # Reading leaves each process its own sums, so that more may be added.
        found[case]["own sums kept"] = all(torch.equal(v, before[k]) for k, v in metrics[0].metric_state.items())
        found[case]["embeddings"] = embedding_results(list(EMBEDDED[case][rank]))
        metrics[0].sync_if_needed()
        metrics[0].sync_if_needed()
        found[case]["votes"] = metrics[0].votes.clone()
        found[case]["labels when joined"] = metrics[0].prototype_labels()
        metrics[0].unsync()
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return on_two_ranks(work, tmp_path_factory.mktemp("ddp"))


@pytest.mark.parametrize("case", CASES)
def test_two_processes_equal_one(found, case):
    batches = [batch for rank in range(2) for batch in rank_batches(CASES[case][rank], rank)]
    metrics = fill(batches, batches)
    expected = results(metrics)
    assert not expected["cbc"].isnan()
    assert not expected["fixed"].isnan()
    for rank in range(2):
        for name, value in expected.items():
            # Counts and labels are equal to the bit; float64 sums up to the order of the additions.
            torch.testing.assert_close(
                found[rank][case][name], value, rtol=0, atol=1e-12, equal_nan=True, msg=lambda m, n=name: f"{n}: {m}"
            )
        assert found[rank][case]["own sums kept"]
        assert torch.equal(found[rank][case]["votes"], metrics[0].votes)
        assert torch.equal(found[rank][case]["labels when joined"], metrics[0].prototype_labels())


@pytest.mark.parametrize("case", EMBEDDED)
def test_two_processes_equal_one_on_embeddings(found, case):
    expected = embedding_results(sorted({n for numbers in EMBEDDED[case] for n in numbers}))
    assert not expected["accuracy"].isnan()
    assert not expected["tau"].isnan()
    for rank in range(2):
        for name, value in expected.items():
            assert torch.equal(found[rank][case]["embeddings"][name], value), name
