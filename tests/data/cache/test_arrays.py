"""Arrays in memory are read as a file with the same videos is."""

import numpy as np
import pytest

from tpl_lightning.data.cache.arrays import ArrayCache
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.video_set import VideoSet


@pytest.fixture
def both(make_cache, tmp_path):
    cache = EmbeddingCache(make_cache(tmp_path / "c.h5"))
    videos, labels = [cache.read(i) for i in range(len(cache))], [cache.labels(i) for i in range(len(cache))]
    return cache, ArrayCache(videos, action=cache.action, labels=labels, phase_names=cache.phase_names)


def test_videos_labels_and_metadata_are_those_of_the_file(both):
    stored, arrays = both
    arrays.validate()
    assert arrays.phase_names == stored.phase_names
    assert vars(stored).keys() <= vars(arrays).keys()
    for name in ("action", "lengths", "offsets"):
        np.testing.assert_array_equal(getattr(arrays, name), getattr(stored, name))
    rows = np.array([3, 1])
    sets = VideoSet(stored), VideoSet(arrays)
    np.testing.assert_array_equal(*[videos.read_block(rows) for videos in sets])
    labels = [np.empty(int(stored.lengths[rows].sum()), np.int16) for _ in sets]
    for videos, into in zip(sets, labels, strict=True):
        videos.read_batch(rows, np.empty((len(into), 6), videos.cache.served_dtype), into)
    np.testing.assert_array_equal(*labels)
    assert arrays.progress(0) is None
    assert arrays.extractor_state() is None


def test_the_fingerprint_tells_embeddings_not_labels(both):
    arrays = both[1]
    videos = [arrays.read(i) for i in range(len(arrays))]
    assert ArrayCache(videos, action=arrays.action).fingerprint() == arrays.fingerprint()
    videos[5] = videos[5] + 1
    assert ArrayCache(videos, action=arrays.action).fingerprint() != arrays.fingerprint()
