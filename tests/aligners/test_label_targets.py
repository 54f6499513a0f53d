"""Where actions begin and end by their labels, and labels as channels on the shared grid."""

import h5py
import numpy as np
import pytest

from tpl_lightning.aligners.label_targets import label_channels, labelled_bounds
from tpl_lightning.data import ArrayCache, EmbeddingCache, VideoSet


def _videos(labels):
    """Return videos of one action with labels (L_i,) each."""
    return VideoSet(ArrayCache([np.eye(len(x), 4) for x in labels], action=["jump"] * len(labels), labels=labels))


def _waits(first, last, size=101):
    labels = np.zeros(size, dtype=np.int16)
    labels[:first] = labels[last + 1 :] = -1
    return labels


def _bounds(labels):
    positions = [np.linspace(0, 1, len(x)) for x in labels]
    return labelled_bounds(positions, _videos(labels), np.zeros(len(labels), dtype=int), num_actions=1)[0].tolist()


def test_the_action_begins_where_most_labels_begin():
    assert _bounds([_waits(20, 89), _waits(21, 90), _waits(19, 91)]) == pytest.approx([0.2, 0.9], abs=0.011)


def test_videos_with_labels_all_along_have_bounds_at_the_ends():
    assert _bounds([_waits(0, 100)] * 3) == [0.0, 1.0]


def test_gaps_within_an_action_do_not_count():
    labels = _waits(0, 100)
    labels[40:60] = -1
    assert _bounds([labels] * 2) == [0.0, 1.0]


def test_labels_of_one_video_say_nothing():
    assert np.isnan(_bounds([_waits(20, 90), np.full(101, -1, dtype=np.int16)])).all()


def test_labels_on_the_grid_are_those_of_the_nearest_labelled_frame(tmp_path, make_cache):
    path = make_cache(tmp_path / "c.h5", videos=4)
    with h5py.File(path, "r+") as file:
        offsets = file["offsets"][:]
        file["labels"][offsets[0] + 5 : offsets[0] + 12] = -1
        file["labels"][offsets[2] : offsets[3]] = -1
    videos = VideoSet(EmbeddingCache(path))
    channels = label_channels(videos, 50, 2.0)
    assert (~channels.isnan().any(1).any(1)).tolist() == [True, True, False, True]
    assert channels[2].isnan().all()
    assert label_channels(videos, 50, 0.0) is None
    for i in (0, 1, 3):
        labels = videos.labels(i)
        for j, time in enumerate(np.linspace(0, len(labels) - 1, 50)):
            apart = np.where(labels >= 0, np.abs(np.arange(len(labels)) - time), np.inf)
            near = {int(labels[u]) for u in np.flatnonzero(apart < apart.min() + 1e-6)}
            assert int(channels[i, j].sum() / 2) in near
