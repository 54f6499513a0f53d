"""Scores of features on the prototype timeline are those of the torchmetrics classes, added up video by video."""

import numpy as np
import pytest
import torch

from tests.evaluation.alignments import SPLIT, aligned_videos, metric_batch
from tpl_lightning.data import ArrayCache, VideoSet
from tpl_lightning.evaluation.alignment import Alignment
from tpl_lightning.evaluation.embedding_scores import embedding_scores
from tpl_lightning.evaluation.scores import evaluate
from tpl_lightning.functional.resampling import resample, resample_nearest
from tpl_lightning.metrics import KendallsTau, PhaseAccuracy


def _features(frames):
    return frames.astype(np.float32)


def test_they_are_those_of_the_metrics():
    alignment, videos = aligned_videos()
    sizes = {"num_actions": 1, "num_channels": 3}
    tau, raw, accuracy = KendallsTau(**sizes), KendallsTau(**sizes), PhaseAccuracy(**sizes)
    for row, split in enumerate(SPLIT):
        own = metric_batch(alignment, videos, row)
        frames, index = torch.from_numpy(videos.read(row))[None].float(), torch.tensor([row])
        shown = resample(frames, own["source_position"], own["lengths"])
        labels = resample_nearest(own["labels"], own["source_position"], own["lengths"])
        if split == "train":
            tau.update(shown, own["prototype_length"], own["action"], index)
            raw.update(frames, own["lengths"], own["action"], index)
            accuracy.update_train(shown, own["prototype_length"], own["action"], index, labels)
        elif split == "test":
            accuracy.update(shown, own["prototype_length"], own["action"], index, labels)
    found = evaluate(alignment, videos, features=_features).overall
    assert found["train/kendall_tau"] == pytest.approx(float(tau.compute()))
    assert found["train/kendall_tau_raw"] == pytest.approx(float(raw.compute()))
    assert found["test/phase_accuracy"] == pytest.approx(float(accuracy.compute()))


def test_a_video_without_a_frame_at_a_point_shows_nothing_there():
    """As one that shows only the part of the prototype where it has frames."""
    frames = [np.sin(np.arange(20.0))[:, None] * [1, 2], np.cos(np.arange(20.0))[:, None] * [1, 2]]
    videos = VideoSet(ArrayCache(frames, action=["jump"] * 2))
    inside = np.linspace(0, 1, 9)
    step = inside[1]
    beyond = np.concatenate([inside[0] - step * np.array([2.0, 1.0]), inside, [1 + step]])
    totals = []
    for source in (inside, beyond):
        text = np.array(["train", "train"])
        alignment = Alignment.from_rows(
            video_id=videos.video_id,
            action=videos.action,
            split=text,
            positions=[np.linspace(0, 1, 20)] * 2,
            sources=[source] * 2,
        )
        splits = {"train": np.array([True, True]), "test": np.array([False, False])}
        totals.append(embedding_scores(alignment, videos, _features, splits, raw=False)["train/kendall_tau"])
    assert totals[0][1].tolist() == totals[1][1].tolist() == [2]
    torch.testing.assert_close(totals[0][0], totals[1][0])
    assert abs(float(totals[0][0])) > 1e-3


def test_without_the_raw_timeline_its_scores_are_left_out():
    alignment, videos = aligned_videos()
    splits = {split: split == SPLIT for split in ("train", "test")}
    names = {"test/phase_accuracy", "train/kendall_tau", "test/kendall_tau"}
    assert set(embedding_scores(alignment, videos, _features, splits, raw=False)) == names
    both = embedding_scores(alignment, videos, _features, splits, raw=True)
    assert set(both) == names | {f"{name}_raw" for name in names}
    assert both["train/kendall_tau_raw"][1].tolist() == [6]  # ordered pairs of three videos


@pytest.mark.parametrize(("videos", "counted"), [(2000, 2000), (2001, 20)])
def test_of_large_splits_some_of_each_action_are_scored(videos, counted):
    frames = [np.array([[0.0], [1.0]])] * videos
    labels = [np.array([0, 1], dtype=np.int16)] * videos
    every = VideoSet(ArrayCache(frames, action=["jump"] * videos, labels=labels, phase_names={"jump": ["a", "b"]}))
    alignment = Alignment.from_rows(
        video_id=every.video_id,
        action=every.action,
        split=np.full(videos, "test"),
        positions=[np.array([0.0, 1.0])] * videos,
        sources=[np.array([0.0, 1.0])] * videos,
    )
    train = np.zeros(videos, dtype=bool)
    train[:3] = True
    found = embedding_scores(alignment, every, _features, {"train": train, "test": np.ones(videos, bool)}, raw=False)
    total, count = found["test/phase_accuracy"]
    assert (float(total), int(count)) == (counted, counted)
    assert int(found["test/kendall_tau"][1]) == counted * (counted - 1)
