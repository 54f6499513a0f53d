"""Scores of an alignment are those of the torchmetrics classes, added up batch by batch."""

import numpy as np
import pytest
import torch

from tpl_lightning.data import ArrayCache, VideoSet
from tpl_lightning.evaluation import Alignment, evaluate
from tpl_lightning.functional import resample, resample_nearest
from tpl_lightning.metrics import (
    CycleBackConsistency,
    KendallsTau,
    KeyEventSpread,
    PhaseAccuracy,
    PhaseLabelPropagation,
)

LENGTH = 9
SPLIT = np.array(["train", "train", "train", "test", "test", "val"])


@pytest.fixture(scope="module")
def aligned():
    rng = np.random.default_rng(0)
    lengths = [6, 9, 12, 7, 10, 8]
    labels = [np.sort(rng.integers(0, 3, n)).astype(np.int16) for n in lengths]
    labels[1][2:4] = -1
    frames = [rng.normal(size=(n, 3)) + own[:, None] for n, own in zip(lengths, labels, strict=True)]
    cache = ArrayCache(frames, action=["jump"] * 6, labels=labels, phase_names={"jump": ["a", "b", "c"]})
    videos = VideoSet(cache).with_split(SPLIT)
    powers = rng.uniform(0.7, 1.4, 6)
    alignment = Alignment.from_rows(
        video_id=videos.video_id,
        action=videos.action,
        split=SPLIT,
        positions=[np.linspace(0, 1, n) ** p for n, p in zip(lengths, powers, strict=True)],
        sources=[np.linspace(0, 1, LENGTH) ** (1 / p) for p in powers],
    )
    return alignment, videos


def batch(alignment, videos, row):
    """One video in the argument names of the metrics."""
    length = torch.tensor([len(alignment.position(row))])
    return {
        "position": torch.from_numpy(alignment.position(row))[None],
        "labels": torch.from_numpy(videos.labels(row).astype(np.int64))[None],
        "lengths": length,
        "action": torch.tensor([0]),
        "source_position": torch.from_numpy(alignment.source(row))[None],
        "prototype_length": torch.tensor([LENGTH]),
    }


def test_scores_by_labels_are_those_of_the_metrics(aligned):
    sizes = {"num_actions": 1, "num_phases": 3}
    cbc, plp = (kind(**sizes, max_length=LENGTH) for kind in (CycleBackConsistency, PhaseLabelPropagation))
    spread = KeyEventSpread(**sizes)
    for row, split in enumerate(SPLIT):
        own = batch(*aligned, row)
        position, source = own["position"], own["source_position"]
        if split == "train":
            cbc.update(**own)
            plp.update_prototype(**{key: value for key, value in own.items() if key != "position"})
        elif split == "test":
            plp.update(**{key: value for key, value in own.items() if key != "source_position"})
        if split != "val":
            spread.update(position, own["labels"], own["lengths"], own["action"])
        assert source.shape == (1, LENGTH)
    found = evaluate(*aligned)
    assert found.overall["train/cbc"] == pytest.approx(float(cbc.compute()))
    assert found.overall["test/plp"] == pytest.approx(float(plp.compute()))
    assert found.overall["event_spread"] == pytest.approx(float(spread.compute()))
    assert found.per_action["jump"]["test/plp"] == found.overall["test/plp"]
    np.testing.assert_array_equal(found.prototype_labels["jump"], plp.prototype_labels()[0].numpy())


def test_scores_on_embeddings_are_those_of_the_metrics(aligned):
    alignment, videos = aligned
    sizes = {"num_actions": 1, "num_channels": 3}
    tau, raw, accuracy = KendallsTau(**sizes), KendallsTau(**sizes), PhaseAccuracy(**sizes)
    for row, split in enumerate(SPLIT):
        own = batch(alignment, videos, row)
        frames, index = torch.from_numpy(videos.read(row))[None].float(), torch.tensor([row])
        shown = resample(frames, own["source_position"], own["lengths"])
        labels = resample_nearest(own["labels"], own["source_position"], own["lengths"])
        if split == "train":
            tau.update(shown, own["prototype_length"], own["action"], index)
            raw.update(frames, own["lengths"], own["action"], index)
            accuracy.update_train(shown, own["prototype_length"], own["action"], index, labels)
        elif split == "test":
            accuracy.update(shown, own["prototype_length"], own["action"], index, labels)
    found = evaluate(alignment, videos, features=lambda frames: frames.astype(np.float32)).overall
    assert found["train/kendall_tau"] == pytest.approx(float(tau.compute()))
    assert found["train/kendall_tau_raw"] == pytest.approx(float(raw.compute()))
    assert found["test/phase_accuracy"] == pytest.approx(float(accuracy.compute()))


def test_prototypes_made_earlier_score_all_videos_whatever_their_split(aligned):
    alignment, videos = aligned
    labels = np.repeat([0, 1, 2], 3)
    found = evaluate(alignment, videos, prototypes={"jump": labels})
    shares = []
    for row in range(len(videos)):
        own, known = videos.labels(row), videos.labels(row) >= 0
        point = np.rint(alignment.position(row).astype(np.float64) * (LENGTH - 1)).astype(int)
        shares.append((labels[point] == own)[known].mean())
    assert found.overall["test/plp"] == pytest.approx(np.mean(shares))
    assert np.isnan(found.overall["train/cbc"])
    np.testing.assert_array_equal(found.prototype_labels["jump"], labels)
