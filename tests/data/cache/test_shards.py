"""Several cache files read as one, and what is read of large caches."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from torch.utils.data import DataLoader

from tests.conftest import write_cache
from tpl_lightning.__main__ import main
from tpl_lightning.aligners.training_videos import enough_videos
from tpl_lightning.data.cache.reader import EmbeddingCache, open_cache
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.data.loading.datamodule import EmbeddingDataset
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.errors import UserError


def _copy(cache, path, videos, **changes):
    """Write some videos of a cache to a file of their own."""
    about = {"dataset": cache.dataset, "extractor": cache.extractor, "source": cache.source} | changes
    names = about.pop("phase_names", cache.phase_names)
    with EmbeddingCacheWriter(path, phase_names=names, **about) as writer:
        for i in videos:
            writer.append(embeddings=cache.read(i), **cache.about(i))
    return path


@pytest.fixture
def whole(tmp_path):
    return EmbeddingCache(write_cache(tmp_path / "whole.h5", videos=11))


@pytest.fixture
def sharded(whole, tmp_path):
    for number, videos in enumerate((range(4), range(4, 5), range(5, 11))):
        _copy(whole, tmp_path / f"part-{number}.h5", videos)
    return open_cache(tmp_path / "part-*.h5")


def test_shards_are_the_whole(whole, sharded):
    assert [path.name for path in sharded.files] == ["part-0.h5", "part-1.h5", "part-2.h5"]
    for name in ("video_id", "action", "split", "lengths", "offsets", "fps"):
        np.testing.assert_array_equal(getattr(sharded, name), getattr(whole, name))
    for name in ("dataset", "extractor", "phase_names", "num_channels", "has_labels", "has_progress"):
        assert getattr(sharded, name) == getattr(whole, name)
    for i in range(len(whole)):
        np.testing.assert_array_equal(sharded.read(i), whole.read(i))
        np.testing.assert_array_equal(sharded.labels(i), whole.labels(i))
        np.testing.assert_array_equal(sharded.progress(i), whole.progress(i))
    assert sharded.fingerprint() == whole.fingerprint()
    sharded.validate()


def test_workers_read_shards(sharded, whole):
    loader = DataLoader(VideoReader(sharded), batch_size=None, num_workers=2)
    for i, values in enumerate(loader):
        np.testing.assert_array_equal(values, whole.read(i))


class VideoReader:
    """Reads videos by number."""

    def __init__(self, cache):
        self.cache = cache

    def __len__(self):
        return len(self.cache)

    def __getitem__(self, index):
        return self.cache.read(index)


def test_a_fit_on_shards_equals_one_on_the_whole(sharded, whole, tmp_path, capsys):
    results = []
    for name, cache in (("one", whole.path), ("many", sharded.path)):
        place = [f"data.cache={cache}", f"run.dir={tmp_path / 'runs'}", f"run.name={name}"]
        assert main(["fit", *place, "method=direct", "run.figures=false", "data.pca=4"]) == 0
        results.append((tmp_path / "runs" / name / "alignment.h5", capsys.readouterr().out))
    with h5py.File(results[0][0]) as one, h5py.File(results[1][0]) as many:
        for key in one:
            np.testing.assert_array_equal(one[key][:], many[key][:])
    assert main(["test", str(tmp_path / "runs" / "many"), f"run.dir={tmp_path / 'runs'}"]) == 0
    assert main(["cache", "info", str(sharded.path)]) == 0
    assert main(["cache", "validate", str(sharded.path)]) == 0
    assert "valid, 11 videos" in capsys.readouterr().out


def test_a_pattern_of_one_file_is_that_file(whole, tmp_path):
    assert open_cache(tmp_path / "who*.h5").path.name == "whole.h5"
    odd = tmp_path / "odd[1].h5"
    os.link(whole.path, odd)
    assert open_cache(odd).path == odd


def test_what_does_not_belong_together_is_refused(whole, sharded, tmp_path, capsys):
    with pytest.raises(UserError, match=r"none-\*\.h5: no embedding cache fits"):
        open_cache(tmp_path / "none-*.h5")
    bad = tmp_path / "part-9.h5"
    renamed = {"jump": ["a", "b", "c"], "turn": whole.phase_names["turn"]}
    for changes, words in (
        ({}, r"part-9\.h5: video 'jump_0' is in .*part-0\.h5 as well"),
        ({"extractor": "other"}, r"part-9\.h5: extractor is 'other', but 'waves' in .*part-0\.h5"),
        ({"phase_names": renamed}, r"part-9\.h5: the phases of 'jump' are"),
    ):
        _copy(whole, bad, [0], **changes)
        with pytest.raises(UserError, match=words):
            open_cache(tmp_path / "part-*.h5")
    write_cache(bad, channels=3, videos=2)
    with pytest.raises(UserError, match=r"part-9\.h5: num_channels is 3, but 6"):
        open_cache(tmp_path / "part-*.h5")
    assert main(["fit", f"data.cache={tmp_path / 'part-*.h5'}"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_shards_embedded_with_other_parameters_are_refused(whole, tmp_path):
    for number in range(2):
        path = _copy(whole, tmp_path / f"s-{number}.h5", [number])
        with h5py.File(path, "r+") as file:
            group = file.create_group("extractor_state")
            group.create_dataset("mean", data=np.full(3, number))
            group.attrs["parameters"] = "{}"
    with pytest.raises(UserError, match=r"s-1\.h5: embedded with other parameters of 'waves' than .*s-0\.h5"):
        open_cache(tmp_path / "s-*.h5")


def test_large_caches_are_checked_in_part_and_the_rest_when_read(tmp_path):
    path = write_cache(tmp_path / "c.h5", videos=12)
    cache = EmbeddingCache(path)
    with h5py.File(path, "r+") as file:
        file["embeddings"][cache.offsets[1] + 3, 2] = np.nan
    cache = EmbeddingCache(path)
    with pytest.raises(UserError, match=r"video 'turn_1', frame 3"):
        cache.validate()
    cache.validate(most_frames=int(cache.offsets[-1]) // 4)  # does not meet it
    videos = EmbeddingDataset(VideoSet(cache), ["jump", "turn"])
    for workers in (0, 1):
        with pytest.raises(UserError) as raised:
            list(DataLoader(videos, batch_size=4, collate_fn=lambda batch: batch, num_workers=workers))
        assert str(raised.value).startswith(f"{path}: video 'turn_1': embeddings hold NaN")


def test_what_is_not_finite_is_named_with_its_file(whole, tmp_path):
    paths = [_copy(whole, tmp_path / f"part-{number}.h5", [2 * number, 2 * number + 1]) for number in range(3)]
    with h5py.File(paths[1], "r+") as file:
        file["embeddings"][3, 2] = np.inf
    videos = VideoSet(open_cache(tmp_path / "part-*.h5"))
    with pytest.raises(UserError) as raised:
        EmbeddingDataset(videos, videos.actions).__getitems__(range(len(videos)))
    assert str(raised.value).startswith(f"{paths[1]}: video {str(videos.video_id[2])!r}: embeddings hold NaN")


def test_a_joint_fit_takes_evenly_spread_videos(tmp_path):
    split = ["train"] * 40
    videos = VideoSet(EmbeddingCache(write_cache(tmp_path / "c.h5", videos=40, split=split)))
    assert enough_videos(videos, 40) is videos
    some = enough_videos(videos, 10)
    assert len(some) == 10
    assert [int((some.action == a).sum()) for a in some.actions] == [5, 5]
    assert some.indices[0] == 0
    assert some.indices[-1] == 39
    place = [f"data.cache={tmp_path / 'c.h5'}", f"run.dir={tmp_path / 'runs'}", "run.name=r", "run.figures=false"]
    assert main(["fit", *place, "method=direct", "direct.max_videos=10", "data.pca=4"]) == 0


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts what /proc lists")
def test_many_shards_take_one_descriptor_each(tmp_path, whole):
    for number in range(11):
        _copy(whole, tmp_path / f"part-{number:02d}.h5", [number])
    cache, before = open_cache(tmp_path / "part-*.h5"), len(os.listdir("/proc/self/fd"))
    for i in range(len(cache)):
        cache.read(i), cache.labels(i), cache.progress(i)
    assert len(os.listdir("/proc/self/fd")) <= before + 11


def test_shards_keep_the_times_of_frames(tmp_path):
    about = {"dataset": "d", "extractor": "e", "source": "s", "phase_names": {}}
    times = {"a": np.array([0.0, 0.5, 0.7]), "b": None, "c": np.array([0.0, 2.0, 2.5])}
    for number, names in enumerate(("ab", "c")):
        with EmbeddingCacheWriter(tmp_path / f"part-{number}.h5", **about) as writer:
            for name in names:
                common = {"action": "x", "split": "train", "embeddings": np.eye(3)}
                writer.append(video_id=name, frame_times=times[name], **common)
    found = open_cache(tmp_path / "part-*.h5")
    for index, name in enumerate("abc"):
        np.testing.assert_equal(found.frame_times(index), times[name])


def _many(folder, count):
    rng = np.random.default_rng(0)
    about = {"dataset": "many", "extractor": "none", "source": "made by a test", "phase_names": {"jump": ["a", "b"]}}
    for k in range(count):
        with EmbeddingCacheWriter(folder / f"part-{k:03d}.h5", **about) as writer:
            split = "test" if k % 10 == 0 else "train"
            frames = np.cumsum(rng.normal(size=(8, 3)), axis=0)
            writer.append(video_id=f"v{k:03d}", action="jump", split=split, embeddings=frames, labels=np.arange(8) // 4)
    return folder / "part-*.h5"


def test_shards_beyond_the_usual_number_of_open_files(tmp_path):
    pattern = _many(tmp_path, 60)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = len(os.listdir("/proc/self/fd" if Path("/proc/self/fd").exists() else "/dev/fd")) + 30
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, before[1]))
        cache = open_cache(pattern)
        assert len([cache.read(i) for i in range(60)]) == 60
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= few + 30
        # Where the system allows no more, the way out is said, and the cache is not called damaged.
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, before[1]))
        shards = EmbeddingCache(pattern)
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, before[1]))
        with pytest.raises(UserError, match=r"part-\d+\.h5: cannot be opened \(Too many open files\); .*ulimit -n"):
            [shards.read(i) for i in range(60)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


_WITHIN = """
import resource, sys
from tpl_lightning.__main__ import main
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["direct", "tpl"])
def test_600_shards_within_1024_open_files(tmp_path, method):
    pattern = _many(tmp_path, 600)
    small = ["train.max_epochs=2", "data.num_workers=2", "data.batch_size=64", "model.hidden=8"]
    place = [f"data.cache={pattern}", f"run.dir={tmp_path}", "run.name=r", "run.figures=false", "run.wandb=disabled"]
    for arguments in (["cache", "validate", str(pattern)], ["fit", f"method={method}", *place, *small]):
        process = subprocess.run(
            [sys.executable, "-c", _WITHIN, *arguments], capture_output=True, text=True, check=False
        )
        assert process.returncode == 0, process.stderr
    assert (tmp_path / "r" / "metrics.json").is_file()
