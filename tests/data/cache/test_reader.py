"""The embedding cache: what is written comes back, what is broken is named."""

import multiprocessing

import h5py
import numpy as np
import pytest

from tests.conftest import write_cache
from tests.data.cache.damage import edit_cache, replaced
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.errors import UserError

VIDEO = {"video_id": "a", "action": "jump", "split": "train"}


def _writer(path, **options):
    phases = {"jump": ["up", "down"]}
    return EmbeddingCacheWriter(path, dataset="d", extractor="e", source="s", phase_names=phases, **options)


def test_round_trip(tmp_path):
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(5, 3)), rng.normal(size=(1030, 3))
    path = tmp_path / "x.h5"
    with _writer(path, dtype="float32") as writer:
        writer.append(**VIDEO, embeddings=first, labels=np.array([0, 0, 1, 1, -1]), fps=30.0)
        writer.append(video_id="ü", action="jump", split="test", embeddings=second, progress=np.linspace(0, 1, 1030))
        writer.set_extractor_state({"mean": np.arange(3.0)}, {"size": 2})
    cache = EmbeddingCache(path)
    assert (cache.dataset, cache.extractor, cache.source) == ("d", "e", "s")
    assert cache.video_id.tolist() == ["a", "ü"]
    assert cache.split.tolist() == ["train", "test"]
    assert cache.lengths.tolist() == [5, 1030]
    assert cache.fps.tolist() == [30.0, 24.0]
    np.testing.assert_array_equal(cache.read(0), first.astype(np.float32))
    np.testing.assert_array_equal(cache.read(1), second.astype(np.float32))
    assert cache.labels(0).tolist() == [0, 0, 1, 1, -1]
    assert set(cache.labels(1).tolist()) == {-1}
    assert cache.progress(0) is None
    np.testing.assert_allclose(cache.progress(1), np.linspace(0, 1, 1030), atol=1e-7)
    arrays, parameters = cache.extractor_state()
    assert (arrays["mean"].tolist(), parameters) == ([0, 1, 2], {"size": 2})
    cache.validate()
    with h5py.File(path) as file:  # the contract others read
        assert (file.attrs["format"], file.attrs["version"]) == ("tpl-embedding-cache", 1)
        assert file["embeddings"].chunks is None
        assert [file[n].dtype for n in ("offsets", "labels", "fps")] == [np.int64, np.int16, np.float32]


def _read_in_child(cache, queue):
    queue.put(cache.read(2).sum())


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_each_process_opens_its_own_handle(cache, method):
    expected = cache.read(2).sum()  # the handle is open now
    context = multiprocessing.get_context(method)
    queue = context.SimpleQueue()
    child = context.Process(target=_read_in_child, args=(cache, queue))
    child.start()
    assert queue.get() == expected
    child.join()


def test_fingerprint_follows_the_content(tmp_path):
    first = EmbeddingCache(write_cache(tmp_path / "a.h5"))
    same = EmbeddingCache(write_cache(tmp_path / "b.h5"))
    other = EmbeddingCache(write_cache(tmp_path / "c.h5", seed=1))
    assert first.fingerprint() == same.fingerprint() != other.fingerprint()
    assert len(first.fingerprint()) == 16
    for number, change in enumerate(
        [
            lambda f: f["embeddings"].__setitem__((50, 2), 0.125),
            lambda f: f["labels"].__setitem__(0, 1),
            lambda f: f["fps"].__setitem__(0, 12),
            lambda f: f.attrs.__setitem__("source", "elsewhere"),
            replaced("split", ["train"] * 8),
        ]
    ):
        path = write_cache(tmp_path / f"{number}.h5")
        edit_cache(path, change)
        assert EmbeddingCache(path).fingerprint() != first.fingerprint()


def test_views_select_videos(cache):
    videos = VideoSet(cache)
    turns = videos.select(videos.action == "turn")
    assert turns.video_id.tolist() == ["turn_1", "turn_3", "turn_5", "turn_7"]
    np.testing.assert_array_equal(turns.read(1), cache.read(3))
    last = turns.select(np.array([3]))
    assert (len(last), last.split.tolist(), last.actions) == (1, ["test"], ["turn"])
    np.testing.assert_array_equal(last.labels(0), cache.labels(7))
    np.testing.assert_array_equal(last.progress(0), cache.progress(7))


def test_labels_are_checked_before_they_are_narrowed(cache_path):
    def wrapped(file):
        labels = file["labels"][:].astype(np.int64)
        labels[int(file["offsets"][3])] += 65536
        replaced("labels", labels)(file)

    edit_cache(cache_path, wrapped)
    cache = EmbeddingCache(cache_path)
    for call in (lambda: cache.labels(0), lambda: VideoSet(cache).read_batch(np.arange(8), *_room(cache))):
        with pytest.raises(UserError, match=r"video 'turn_3': expected labels -1\.\.2 .*, but found 6553\d"):
            call()


def _room(cache):
    frames = int(cache.offsets[-1])
    return np.empty((frames, cache.num_channels), cache.served_dtype), np.empty(frames, np.int16)


def test_doubles_beyond_single_precision_are_refused(cache_path):
    def double(file):
        values = file["embeddings"][:].astype(np.float64)
        values[int(file["offsets"][3]) + 2] = 1e300
        replaced("embeddings", values)(file)

    edit_cache(cache_path, double)
    cache = EmbeddingCache(cache_path)
    assert cache.served_dtype == np.float32
    with pytest.raises(UserError, match="video 'turn_3', frame 2: embeddings hold NaN or infinity"):
        cache.validate()
    with pytest.raises(UserError, match="video 'turn_3': embeddings hold NaN or infinity"):
        cache.read_batch(np.arange(8), *_room(cache))


def test_frame_times_are_kept_and_checked(tmp_path):
    times = np.array([0.0, 0.1, 0.1, 0.9, 1.0])
    common = {"action": "a", "split": "train", "embeddings": np.ones((5, 2)) + np.arange(5)[:, None]}
    about = {"dataset": "d", "extractor": "e", "source": "s", "phase_names": {}}
    with EmbeddingCacheWriter(tmp_path / "x.h5", **about) as writer:
        writer.append(video_id="known", frame_times=times, **common)
        writer.append(video_id="unknown", **common)
        for wrong in (times[:4], -times, times[::-1], np.full(5, np.nan)):
            with pytest.raises(UserError, match=r"video 'new': expected .*frame_times"):
                writer.append(video_id="new", frame_times=wrong, **common)
    cache = EmbeddingCache(tmp_path / "x.h5")
    cache.validate()
    assert cache.frame_times(0).dtype == np.float64
    assert cache.frame_times(0).tolist() == times.tolist()
    assert cache.frame_times(1) is None
    (tmp_path / "y.h5").write_bytes((tmp_path / "x.h5").read_bytes())
    with h5py.File(tmp_path / "y.h5", "a") as file:
        file["frame_times"][3] = 0.05
    with pytest.raises(UserError, match="video 'known': expected frame_times of at least 0 that never fall"):
        EmbeddingCache(tmp_path / "y.h5").validate()
