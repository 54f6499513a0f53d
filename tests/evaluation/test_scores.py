"""Scores of an alignment against plain loops, and against the torchmetrics classes, added up batch by batch."""

from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import write_cache
from tests.evaluation.alignments import LENGTH, SPLIT, aligned_videos, metric_batch, warped
from tpl_lightning.data import EmbeddingCache, EmbeddingCacheWriter, VideoSet
from tpl_lightning.evaluation.alignment import Alignment
from tpl_lightning.evaluation.scores import evaluate, voted_labels
from tpl_lightning.metrics import CycleBackConsistency, KeyEventSpread, PhaseLabelPropagation


@pytest.fixture
def videos(cache):
    return VideoSet(cache)


@pytest.fixture(scope="module")
def aligned():
    return aligned_videos()


def _loop_scores(alignment, videos, action):
    """CBC, PLP and spread of one action, frame by frame."""
    rows = [i for i in range(len(videos)) if videos.action[i] == action]
    length = int(alignment.prototype_length[rows[0]])
    names = []
    for j in range(length):
        votes = [0] * 3
        for i in rows:
            if videos.split[i] == "train":
                frame = int(np.round(float(alignment.source(i)[j]) * (videos.lengths[i] - 1)))
                votes[videos.labels(i)[frame]] += 1
        names.append(int(np.argmax(votes)))
    shares = {"train": [], "test": []}
    begins = {1: [], 2: []}
    for i in rows:
        labels, position = videos.labels(i), alignment.position(i)
        right = [
            names[int(np.round(float(p) * (length - 1)))] == label for p, label in zip(position, labels, strict=True)
        ]
        shares[str(videos.split[i])].append(np.mean(right))
        for phase, found in begins.items():
            where = np.flatnonzero(labels == phase)
            if len(where):
                found.append(position[where[0]])
    return shares, [np.std(v) for v in begins.values() if len(v) >= 2]


def test_scores_equal_plain_loops(videos):
    alignment = warped(videos)
    scores = evaluate(alignment, videos)
    train, test, spreads = [], [], []
    for action in videos.actions:
        shares, spread = _loop_scores(alignment, videos, action)
        assert scores.per_action[action]["train/cbc"] == pytest.approx(np.mean(shares["train"]))
        assert scores.per_action[action]["test/plp"] == pytest.approx(np.mean(shares["test"]))
        assert scores.per_action[action]["event_spread"] == pytest.approx(np.mean(spread), abs=1e-6)
        train, test, spreads = train + shares["train"], test + shares["test"], spreads + spread
    assert scores.overall["train/cbc"] == pytest.approx(np.mean(train))
    assert scores.overall["test/plp"] == pytest.approx(np.mean(test))
    assert scores.overall["event_spread"] == pytest.approx(np.mean(spreads), abs=1e-6)
    again = evaluate(alignment, videos.select(np.arange(8)), prototypes=scores.prototype_labels)
    assert np.isnan(again.overall["train/cbc"])
    assert again.overall["test/plp"] == pytest.approx((np.mean(train) * 6 + np.mean(test) * 2) / 8)


def test_votes_alone_are_those_of_the_scores(videos):
    alignment = warped(videos)
    everybody = replace(alignment, split=np.full(len(videos), "train"))
    expected = evaluate(everybody, videos).prototype_labels
    found = voted_labels([alignment.source(i) for i in range(len(videos))], videos)
    assert found.keys() == expected.keys()
    for action, labels in found.items():
        np.testing.assert_array_equal(labels, expected[action])


def test_warp_error_is_0_for_a_perfect_alignment(videos):
    positions = [videos.progress(i) for i in range(len(videos))]
    sources = [np.linspace(0, 1, 30)] * len(videos)
    perfect = Alignment.from_rows(
        video_id=videos.video_id,
        action=videos.action,
        split=videos.split,
        positions=[p**2 for p in positions],
        sources=sources,  # any monotone clock will do
    )
    assert evaluate(perfect, videos).overall["warp_error"] < 1e-3
    assert evaluate(warped(videos), videos).overall["warp_error"] > 0.01


def test_without_labels_scores_are_nan(tmp_path):
    videos = VideoSet(EmbeddingCache(write_cache(tmp_path / "x.h5", labels=False)))
    scores = evaluate(warped(videos), videos)
    assert all(np.isnan(scores.overall[name]) for name in ("train/cbc", "test/plp", "event_spread"))


def test_a_labelled_frame_that_idles_counts_as_wrong_and_a_missing_one_does_not_vote(tmp_path):
    labels = np.array([0, 0, 0, 1, 1, 1])
    path = tmp_path / "c.h5"
    with EmbeddingCacheWriter(
        path, dataset="tiny", extractor="ones", source="a test", phase_names={"jump": ["a", "b"]}
    ) as writer:
        for name in ("v0", "v1"):
            writer.append(video_id=name, action="jump", split="train", embeddings=np.ones((6, 2)), labels=labels)
    videos = VideoSet(EmbeddingCache(path))
    grid = np.linspace(0, 1, 6)
    idle = np.array([0, 0, 0.2, 0.62, 0.8, 1.0])
    made = Alignment.from_rows(
        video_id=videos.video_id,
        action=videos.action,
        split=videos.split,
        positions=[grid, idle],
        sources=[grid, np.linspace(0.2, 1, 6)],
    )
    scores = evaluate(made, videos)
    assert scores.per_action["jump"]["train/cbc"] == pytest.approx((1 + 5 / 6) / 2)
    # The first video has no frame at the first point and the last two, the second one none at the last.
    votes = voted_labels([np.array([-0.2, 0.2, 0.4, 0.6, 1.2, 1.4]), np.array([1, 0, 0, 1, 1, 1.1])], videos)
    assert votes["jump"].tolist() == [1, 0, 0, 1, 1, -1]


def test_scores_by_labels_are_those_of_the_metrics(aligned):
    sizes = {"num_actions": 1, "num_phases": 3}
    cbc, plp = (kind(**sizes, max_length=LENGTH) for kind in (CycleBackConsistency, PhaseLabelPropagation))
    spread = KeyEventSpread(**sizes)
    for row, split in enumerate(SPLIT):
        own = metric_batch(*aligned, row)
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
