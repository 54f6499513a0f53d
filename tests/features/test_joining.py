"""Caches side by side: matched by name and time."""

import numpy as np
import pytest

from tpl_lightning.data.cache.groups import FeatureGroup
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.errors import UserError
from tpl_lightning.features.extractors import extractor_of_cache
from tpl_lightning.features.gradients import HogParams
from tpl_lightning.features.hog import HogExtractor
from tpl_lightning.features.joining import join_caches


def write(path, lengths, *, fps=10.0, times=None, extractor="e", state=None, dtype="float32", action="run", **about):
    """Write videos whose channel 0 is the second of each frame, and channel 1 minus that."""
    with EmbeddingCacheWriter(
        path, dataset=path.stem, extractor=extractor, source="s", phase_names={"run": ["x", "y"]}, dtype=dtype
    ) as writer:
        for video, length in lengths.items():
            seconds = np.arange(length) / fps if times is None else times
            writer.append(
                video_id=video,
                action=action,
                embeddings=np.stack([seconds, -seconds], axis=1),
                fps=fps,
                frame_times=times,
                **{"split": "train", **about},
            )
        if state:
            writer.set_extractor_state(*state)
    return EmbeddingCache(path)


def join(tmp_path, *caches, **options):
    return EmbeddingCache(join_caches(caches, tmp_path / "joined.h5", progress=False, **options))


def test_the_first_gives_all_but_the_features(tmp_path):
    labels, progress = np.array([0, 0, 1, 1, 1]), np.linspace(0, 1, 5, dtype=np.float32)
    times = np.array([0.0, 0.1, 0.25, 0.3, 0.4])
    first = write(
        tmp_path / "a.h5",
        {"v": 5},
        times=times,
        extractor="hog-pca2",
        labels=labels,
        progress=progress,
        split="test",
        file_bytes=7,
    )
    other = write(tmp_path / "b.h5", {"w": 9, "v": 9}, fps=20.0, extractor="net/b")
    with pytest.warns(UserWarning, match="1 videos are not in .*a.h5 \\('w'\\); left out"):
        joined = join(tmp_path, first, other)
    joined.validate()
    assert joined.feature_groups == [FeatureGroup("hog", 2), FeatureGroup("b", 2)]
    assert (joined.dataset, joined.extractor, joined.phase_names) == ("a", "hog-pca2+net/b", first.phase_names)
    assert (joined.video_id.tolist(), joined.split.tolist(), joined.file_bytes.tolist()) == (["v"], ["test"], [7])
    assert joined.fps[0] == first.fps[0]
    np.testing.assert_array_equal(joined.labels(0), labels)
    np.testing.assert_array_equal(joined.progress(0), progress)
    np.testing.assert_array_equal(joined.frame_times(0), times)
    np.testing.assert_array_equal(joined.read(0)[:, :2], first.read(0))


@pytest.mark.parametrize(("fps", "length"), [(25.0, 51), (5.0, 11), (7.3, 16), (60.0, 121)])
def test_others_are_resampled_by_time(tmp_path, fps, length):
    first, other = write(tmp_path / "a.h5", {"v": 21}), write(tmp_path / "b.h5", {"v": length}, fps=fps)
    joined = join(tmp_path, first, other)
    end = (length - 1) / fps
    np.testing.assert_allclose(joined.read(0)[:, 2], np.minimum(np.arange(21) / 10, end), atol=1e-5)


def test_frames_of_uneven_times_are_matched_by_them(tmp_path):
    times = np.concatenate([np.linspace(0, 0.5, 16), np.linspace(0.6, 2.0, 5)])
    first, other = write(tmp_path / "a.h5", {"v": 21}), write(tmp_path / "b.h5", {"v": 21}, times=times)
    np.testing.assert_allclose(join(tmp_path, first, other).read(0)[:, 2], np.arange(21) / 10, atol=1e-5)
    swapped = EmbeddingCache(join_caches([other, first], tmp_path / "s.h5", progress=False))
    np.testing.assert_allclose(swapped.read(0)[:, 2], times, atol=1e-5)


def test_as_many_frames_at_another_rate_are_the_same_frames(tmp_path):
    first, other = write(tmp_path / "a.h5", {"v": 21}), write(tmp_path / "b.h5", {"v": 21}, fps=24.0)
    np.testing.assert_array_equal(join(tmp_path, first, other).read(0)[:, 2:], other.read(0))


def test_videos_that_another_lacks_are_refused_or_dropped(tmp_path):
    first = write(tmp_path / "a.h5", {"u": 5, "v": 6, "w": 7})
    other = write(tmp_path / "b.h5", {"w": 7, "u": 5})
    with pytest.raises(UserError, match=r"b.h5: lacks 1 of the videos of .*a.h5 \('v'\).*missing=drop"):
        join(tmp_path, first, other)
    assert not (tmp_path / "joined.h5").exists()
    with pytest.warns(UserWarning, match=r"\('v'\); left out"):
        joined = join(tmp_path, first, other, drop_missing=True)
    assert joined.video_id.tolist() == ["u", "w"]
    np.testing.assert_array_equal(joined.read(1)[:, 2:], other.read(0))
    with pytest.raises(UserError, match="it has 'x': videos are matched by video_id"):
        join(tmp_path, first, write(tmp_path / "c.h5", {"x": 5}), drop_missing=True)


def test_clips_that_are_not_the_same_are_named(tmp_path):
    first = write(tmp_path / "a.h5", {"v": 50})
    with pytest.raises(UserError, match=r"'v' lasts 1.9 s by its clock.*but 4.9 s in"):
        join(tmp_path, first, write(tmp_path / "b.h5", {"v": 20}))
    with pytest.warns(UserWarning, match=r"another length than in .*'v', 3.9 s, there 4.9 s"):
        joined = join(tmp_path, first, write(tmp_path / "c.h5", {"v": 40}))
    np.testing.assert_allclose(joined.read(0)[38:, 2], [3.8, *[3.9] * 11], atol=1e-6)
    with pytest.warns(UserWarning, match="1 videos show another action than in .*'jump', there 'run'"):
        join(tmp_path, first, write(tmp_path / "d.h5", {"v": 50}, action="jump"))


def test_caches_of_several_groups_and_of_one_name_can_be_joined_further(tmp_path):
    first, other = write(tmp_path / "a.h5", {"v": 5}, dtype="float16"), write(tmp_path / "b.h5", {"v": 5})
    both = EmbeddingCache(join_caches([first, first], tmp_path / "ab.h5", progress=False))
    assert (both.feature_groups, both.dtype) == ([("e", 2), ("e-2", 2)], np.float16)
    three = EmbeddingCache(join_caches([both, other], tmp_path / "abc.h5", progress=False))
    assert (three.feature_groups, three.dtype) == ([("e", 2), ("e-2", 2), ("e-3", 2)], np.float32)


def test_parts_that_can_be_embedded_again_are_known(tmp_path):
    hog = HogExtractor(params=HogParams(size=32, cell=8, block=2, orientations=6), channels=2)
    hog.fit([np.random.default_rng(0).normal(size=(9, hog.num_features))])
    first = write(tmp_path / "a.h5", {"v": 5}, extractor="hog-pca2", state=hog.state())
    joined = join(tmp_path, first, write(tmp_path / "b.h5", {"v": 5}, extractor="foreign"))
    with pytest.raises(UserError, match=r"'foreign' was joined.*come as a cache too.*data.groups=\[hog\]"):
        extractor_of_cache(joined)
    again = extractor_of_cache(joined.choose(["hog"]))
    np.testing.assert_array_equal(again.components, hog.components)
    twice = EmbeddingCache(join_caches([first, first], tmp_path / "hh.h5", progress=False))
    assert extractor_of_cache(twice).num_channels == 4
