"""The embedding cache: what is written comes back, what is broken is named."""

import multiprocessing
import shutil
import warnings
from unittest import mock

import h5py
import numpy as np
import pytest

from tests.conftest import write_cache
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


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"video_id": "old"}, "added before"),
        ({"split": "dev"}, "dev"),
        ({"embeddings": np.zeros((1, 3))}, "at least 2 frames"),
        ({"embeddings": np.zeros((4, 2))}, "3 channels"),
        ({"embeddings": np.full((4, 3), np.nan)}, "NaN"),
        ({"embeddings": np.full((4, 3), 1e6)}, "float16"),
        ({"labels": np.zeros(3)}, "labels"),
        ({"labels": np.full(4, 2)}, "2 phases"),
        ({"progress": np.array([0, 0.5, 0.4, 1])}, "progress"),
    ],
)
def test_a_bad_video_is_named_and_the_old_file_stays(tmp_path, change, named):
    path = tmp_path / "x.h5"
    path.write_text("old")
    good = {"video_id": "old", "action": "jump", "split": "train", "embeddings": np.zeros((4, 3))}

    def write():
        with _writer(path) as writer:
            for video in (good, {**VIDEO, "embeddings": np.zeros((4, 3)), **change}):
                writer.append(**video)

    with pytest.raises(UserError, match=named) as info:
        write()
    assert change.get("video_id", "a") in str(info.value)
    assert "\n" not in str(info.value)
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.h5"]


def test_no_videos_no_file(tmp_path):
    with pytest.raises(UserError, match="at least one video"), _writer(tmp_path / "x.h5"):
        pass
    assert not list(tmp_path.iterdir())


def _break(path, how):
    with h5py.File(path, "r+") as file:
        how(file)


def _replace(name, values):
    def how(file):
        del file[name]
        file[name] = values

    return how


@pytest.mark.parametrize(
    ("how", "named"),
    [
        (lambda f: f.attrs.__setitem__("version", 2), "version 2"),
        (lambda f: f.attrs.__setitem__("version", "one"), "version one"),
        (lambda f: f.attrs.__delitem__("format"), "format ''"),
        (lambda f: f.attrs.__setitem__("format", "other"), "other"),
        (lambda f: f.attrs.__setitem__("phase_names", "[1"), "phase_names"),
        (lambda f: f.__delitem__("offsets"), "offsets"),
        (_replace("offsets", np.arange(9)), "offsets"),
        (_replace("split", ["dev"] * 8), "dev"),
        (_replace("split", ["train"] * 7), "split"),
        (_replace("video_id", ["same"] * 8), "same"),
        (_replace("labels", np.zeros(3, np.int16)), "labels"),
        (_replace("embeddings", np.zeros(5)), "'embeddings' to be floats in 2 dimensions"),
        (_replace("embeddings", np.zeros((5, 3), np.int16)), "of int16"),
        (_replace("embeddings", np.zeros((0, 0))), "without channels"),
        (_replace("offsets", 3), "'offsets' to be integers in 1 dimension"),
        (_replace("offsets", np.full(9, np.nan)), "float64"),
        (_replace("video_id", np.arange(8)), "'video_id' to be strings"),
        (_replace("video_id", np.array([b"\xe4%d" % i for i in range(8)])), "'video_id' is no UTF-8"),
        (_replace("fps", ["fast"] * 8), "'fps' to be numbers"),
        (lambda f: f.attrs.__setitem__("phase_names", '{"jump": "up"}'), "phase_names"),
        (lambda f: (f.__delitem__("labels"), f.create_group("labels")), "a group"),
        (lambda f: f["offsets"].__setitem__(3, 1), "'jump_2' has -"),
    ],
)
def test_a_broken_file_is_named_when_opened(cache_path, how, named):
    _break(cache_path, how)
    with pytest.raises(UserError, match=named) as info:
        EmbeddingCache(cache_path)
    assert str(cache_path) in str(info.value)
    assert "\n" not in str(info.value)


def test_fixed_length_utf8_strings_are_read(cache_path):
    names = [f"ä{i}".encode() for i in range(8)]  # h5py calls such bytes ASCII
    _break(cache_path, _replace("video_id", np.array(names)))
    assert EmbeddingCache(cache_path).video_id.tolist() == [f"ä{i}" for i in range(8)]


@pytest.mark.parametrize("share", np.linspace(0.01, 0.999, 12))
def test_a_file_cut_short_is_refused(tmp_path, share):
    content = write_cache(tmp_path / "whole.h5", videos=40).read_bytes()
    path = tmp_path / "cut.h5"
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(UserError, match=r"cut\.h5: not a readable HDF5 file"):
        EmbeddingCache(path)


@pytest.mark.parametrize("kind", [OSError, RuntimeError, KeyError, ValueError, TypeError])
def test_whatever_hdf5_says_of_damage_becomes_one_line(cache_path, kind):
    cache = EmbeddingCache(cache_path)
    damage = mock.Mock(side_effect=kind("bad heap\nat address 7"))
    with mock.patch.object(h5py.Group, "__getitem__", damage):
        for call in (lambda: EmbeddingCache(cache_path), lambda: cache.read(3), cache.validate):
            with pytest.raises(UserError, match=r"tiny\.h5: .*bad heap") as info:
                call()
            assert "\n" not in str(info.value)
        with pytest.raises(UserError, match="video 'turn_3': embeddings cannot be read"):
            cache.read(3)


@pytest.mark.parametrize(
    ("name", "value", "named"),
    [("embeddings", np.inf, "frame 0"), ("labels", 9, "expected labels .* but found 9"), ("progress", 2.0, "progress")],
)
def test_validate_names_the_video(cache_path, name, value, named):
    def how(file):
        file[name][int(file["offsets"][3])] = value

    _break(cache_path, how)
    with pytest.raises(UserError, match=named) as info:
        EmbeddingCache(cache_path).validate()
    assert "turn_3" in str(info.value)


def test_files_that_are_no_hdf5(tmp_path):
    with pytest.raises(UserError, match="no such"):
        EmbeddingCache(tmp_path / "none.h5")
    text = tmp_path / "text.h5"
    text.write_text("hello")
    with pytest.raises(UserError, match="HDF5"):
        EmbeddingCache(text)
    cut = write_cache(tmp_path / "cut.h5")
    cut.write_bytes(cut.read_bytes()[:3000])
    with pytest.raises(UserError, match=r"cut\.h5"):
        EmbeddingCache(cut)


def _read_in_child(cache, queue):
    queue.put(cache.read(2).sum())


def test_validate_checks_the_frame_rate(cache_path):
    _break(cache_path, lambda f: f["fps"].__setitem__(3, np.nan))
    with pytest.raises(UserError, match="'turn_3': expected frames per second"):
        EmbeddingCache(cache_path).validate()


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
            _replace("split", ["train"] * 8),
        ]
    ):
        path = write_cache(tmp_path / f"{number}.h5")
        _break(path, change)
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


@pytest.mark.parametrize("fps", [0.0, -24.0, float("nan"), float("inf")])
def test_senseless_frame_rates_are_refused(tmp_path, fps):
    with (
        pytest.raises(UserError, match="video 'a': expected frames per second above 0"),
        EmbeddingCacheWriter(tmp_path / "x.h5", dataset="d", extractor="e", source="s", phase_names={}) as writer,
    ):
        writer.append(video_id="a", action="b", split="train", embeddings=np.zeros((3, 2)), fps=fps)


@pytest.mark.parametrize("labels", [[0.0, 0.5, 1.0], [0.0, float("nan"), 1.0], ["a", "b", "b"], [True, False, True]])
def test_labels_that_are_no_whole_numbers_are_refused(tmp_path, labels):
    names = {"b": ["up", "down"]}
    with (
        pytest.raises(UserError, match="video 'a': expected labels to be whole numbers"),
        EmbeddingCacheWriter(tmp_path / "x.h5", dataset="d", extractor="e", source="s", phase_names=names) as writer,
    ):
        writer.append(video_id="a", action="b", split="train", embeddings=np.zeros((3, 2)), labels=np.array(labels))


def test_whole_numbers_may_be_floats(tmp_path):
    path, names = tmp_path / "x.h5", {"b": ["up", "down"]}
    with EmbeddingCacheWriter(path, dataset="d", extractor="e", source="s", phase_names=names) as writer:
        writer.append(
            video_id="a", action="b", split="train", embeddings=np.zeros((3, 2)), labels=np.array([-1.0, 0.0, 1.0])
        )
    assert EmbeddingCache(path).labels(0).tolist() == [-1, 0, 1]


def test_labels_are_checked_before_they_are_narrowed(cache_path):
    def wrapped(file):
        labels = file["labels"][:].astype(np.int64)
        labels[int(file["offsets"][3])] += 65536
        _replace("labels", labels)(file)

    _break(cache_path, wrapped)
    cache = EmbeddingCache(cache_path)
    for call in (lambda: cache.labels(0), lambda: VideoSet(cache).read_batch(np.arange(8), *_room(cache))):
        with pytest.raises(UserError, match=r"video 'turn_3': expected labels -1\.\.2 .*, but found 6553\d"):
            call()


def _room(cache):
    frames = int(cache.offsets[-1])
    return np.empty((frames, cache.num_channels), cache.served_dtype), np.empty(frames, np.int16)


def test_labels_beyond_what_is_stored_are_refused_by_the_writer(tmp_path):
    names = {"b": [f"p{i}" for i in range(70_000)]}
    with (
        pytest.raises(UserError, match=r"video 'a': expected labels -1\.\.32767"),
        EmbeddingCacheWriter(tmp_path / "x.h5", dataset="d", extractor="e", source="s", phase_names=names) as writer,
    ):
        writer.append(
            video_id="a", action="b", split="train", embeddings=np.zeros((3, 2)), labels=np.array([0, 1, 65536])
        )


@pytest.mark.parametrize(("value", "words"), [(0, r"'turn_3' \(all zero\)"), (0.5, "'turn_3'\\.")])
def test_videos_that_do_not_change_are_warned_of(cache_path, value, words):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        EmbeddingCache(cache_path).validate()

    def still(file):
        file["embeddings"][slice(*file["offsets"][3:5])] = value

    _break(cache_path, still)
    with pytest.warns(
        UserWarning, match=rf"tiny\.h5: the embeddings of 1 of 8 videos do not change over time: {words}"
    ):
        EmbeddingCache(cache_path).validate()


def test_doubles_beyond_single_precision_are_refused(cache_path):
    def double(file):
        values = file["embeddings"][:].astype(np.float64)
        values[int(file["offsets"][3]) + 2] = 1e300
        _replace("embeddings", values)(file)

    _break(cache_path, double)
    cache = EmbeddingCache(cache_path)
    assert cache.served_dtype == np.float32
    with pytest.raises(UserError, match="video 'turn_3', frame 2: embeddings hold NaN or infinity"):
        cache.validate()
    with pytest.raises(UserError, match="video 'turn_3': embeddings hold NaN or infinity"):
        cache.read_batch(np.arange(8), *_room(cache))


def test_attributes_are_text_as_others_write_it(cache_path):
    """Arrays of one element (R), numbers that are floats (MATLAB), bytes that are no UTF-8, half characters."""

    def others(file):
        for name in ("format", "dataset"):
            text = file.attrs[name]
            del file.attrs[name]
            file.attrs.create(name, np.array([text], dtype=object), dtype=h5py.string_dtype())
        file.attrs["version"] = 1.0
        file.attrs["source"] = np.bytes_(b"caf\xe9")
        file.attrs.create("extractor", b"half \xe9", dtype=h5py.string_dtype())
        file.attrs["phase_names"] = '{"jump": ["\\ud800", "b", "c"], "turn": ["a", "b", "c"]}'

    _break(cache_path, others)
    cache = EmbeddingCache(cache_path)
    assert (cache.dataset, cache.extractor) == ("tiny", "half ?")
    assert cache.source.startswith("caf")
    assert cache.phase_names["jump"] == ["?", "b", "c"]
    assert len(cache.fingerprint()) == 16


@pytest.mark.parametrize("name", ["half \udce9", "zero \0"])
def test_names_that_hdf5_cannot_hold_are_refused(tmp_path, name):
    with pytest.raises(UserError, match="expected names of UTF-8 characters"), _writer(tmp_path / "x.h5") as writer:
        writer.append(**{**VIDEO, "video_id": name}, embeddings=np.zeros((4, 3)))
    assert not list(tmp_path.iterdir())


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


@pytest.mark.parametrize("room", [2**19, 2**20 + 2000])
def test_a_disk_without_room_is_said_before_hdf5_meets_it(tmp_path, monkeypatch, room):
    path = tmp_path / "x.h5"
    path.write_text("as it was")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=room))
    # A cache without a row has room in the second case, one with 1,000 rows has not.
    with pytest.raises(OSError, match="No space left on device"), _writer(path) as writer:
        writer.append(**VIDEO, embeddings=np.zeros((1000, 3)))
    assert path.read_text() == "as it was"
    assert list(tmp_path.iterdir()) == [path]
