"""Feature groups: what a cache says of them, picking them, and those that tell nothing."""

import json
import pickle

import h5py
import numpy as np
import pytest

from tpl_lightning.config.runs import DataConfig
from tpl_lightning.data.cache.groups import (
    FeatureGroup,
    group_name,
    join_states,
    part_states,
    unique_names,
    usable_groups,
    warn_of_still,
)
from tpl_lightning.data.cache.reader import EmbeddingCache, open_cache
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.errors import UserError

GROUPS = [FeatureGroup("a", 2), FeatureGroup("b", 3), FeatureGroup("c", 1)]


def write(path, *, groups=GROUPS, still=(), videos=("v0", "v1", "v2"), dtype="float32"):
    rng = np.random.default_rng(0)
    with EmbeddingCacheWriter(
        path, dataset="d", extractor="x+y+z", source="s", phase_names={}, dtype=dtype, feature_groups=groups
    ) as writer:
        for number, video in enumerate(videos):
            values = rng.normal(size=(10 + number, 6)).astype(np.float32)
            for name, columns in (("a", slice(0, 2)), ("b", slice(2, 5)), ("c", slice(5, 6))):
                if (video, name) in still:
                    values[:, columns] = 7.0
            writer.append(video_id=video, action="act", split="train", embeddings=values)
        states = [({"m": np.arange(3)}, {"kind": "k1"}), None, ({"m": np.arange(2)}, {"kind": "k3"})]
        writer.set_extractor_state(*join_states(states))
    return path


@pytest.mark.parametrize(
    ("extractor", "name"),
    [
        ("hog-pca64", "hog"),
        ("facebook/dinov2-base", "dinov2"),
        ("facebook/dinov2-large", "dinov2-large"),
        ("mobilenet_v2", "mobilenet_v2"),
        ("", "features"),
    ],
)
def test_a_group_is_named_after_its_extractor(extractor, name):
    assert group_name(extractor) == name


def test_a_cache_without_the_attribute_has_one_group(cache):
    assert cache.feature_groups == [FeatureGroup("waves", 6)]
    with h5py.File(cache.path) as file:
        assert "feature_groups" not in file.attrs


def test_the_attribute_is_a_list_of_names_and_channels(tmp_path):
    path = write(tmp_path / "g.h5")
    with h5py.File(path) as file:
        assert json.loads(file.attrs["feature_groups"]) == [["a", 2], ["b", 3], ["c", 1]]
        assert file.attrs["version"] == 1
    assert EmbeddingCache(path).feature_groups == GROUPS


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("chunked", [False, True])
def test_picked_groups_come_in_the_order_asked_for(tmp_path, dtype, chunked):
    whole = EmbeddingCache(write(tmp_path / "g.h5", dtype=dtype))
    if chunked:  # as older files are
        with h5py.File(whole.path, "r+") as file:
            values = file["embeddings"][:]
            del file["embeddings"]
            file.create_dataset("embeddings", data=values, chunks=(8, 6))
    picked = open_cache(whole.path, ["c", "a"])
    assert (picked.num_channels, picked.extractor) == (3, "c+a")
    assert picked.feature_groups == [FeatureGroup("c", 1), FeatureGroup("a", 2)]
    expected = whole.read(1)[:, [5, 0, 1]]
    np.testing.assert_array_equal(picked.read(1), expected)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(picked)).read(1), expected)
    np.testing.assert_array_equal(picked.choose(["a"]).read(1), expected[:, 1:])
    frames = np.empty((21, 3), picked.served_dtype)
    picked.read_batch(np.array([0, 1]), frames)
    np.testing.assert_array_equal(frames[10:], expected)
    assert picked.fingerprint() != whole.fingerprint()
    assert whole.read(0).shape == (10, 6)  # which is as it was


def test_picked_groups_keep_their_own_extractors(tmp_path):
    whole = EmbeddingCache(write(tmp_path / "g.h5"))
    arrays, parameters = whole.choose(["c"]).extractor_state()
    assert parameters == {"kind": "k3"}
    np.testing.assert_array_equal(arrays["m"], np.arange(2))
    assert whole.choose(["b"]).extractor_state() is None
    states = part_states(whole.choose(["c", "b"]).extractor_state(), 2)
    assert (states[0][1], states[1]) == ({"kind": "k3"}, None)


def test_shards_are_picked_alike(tmp_path):
    write(tmp_path / "s-0.h5", videos=("v0", "v1"))
    write(tmp_path / "s-1.h5", videos=("w0",))
    whole = open_cache(tmp_path / "s-*.h5")
    picked = open_cache(tmp_path / "s-*.h5", ["b"])
    assert len(picked) == 3
    np.testing.assert_array_equal(picked.read(2), whole.read(2)[:, 2:5])
    write(tmp_path / "s-1.h5", videos=("w0",), groups=[FeatureGroup("a", 5), FeatureGroup("b", 1)])
    with pytest.raises(UserError, match="feature_groups"):
        open_cache(tmp_path / "s-*.h5")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "no JSON list"),
        ("[1, 2]", "no JSON list"),
        ('[["a", 2], ["b", 3]]', "counts 5 channels, but embeddings have 6"),
        ('[["a", 3], ["a", 3]]', "once each"),
        ('[["a", 0], ["b", 6]]', "1 or more channels"),
    ],
)
def test_a_wrong_attribute_is_named(tmp_path, text, named):
    path = write(tmp_path / "g.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["feature_groups"] = text
    with pytest.raises(UserError, match=named):
        EmbeddingCache(path)


def test_an_unknown_group_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no feature group 'dino' \(data.groups\); it holds a, b, c"):
        open_cache(write(tmp_path / "g.h5"), ["a", "dino"])
    with pytest.raises(UserError, match="feature groups of 5 channels, but embeddings of 6"):
        write(tmp_path / "h.h5", groups=[FeatureGroup("a", 2), FeatureGroup("b", 3)])


def test_a_group_that_stands_still_in_some_videos_is_left_out_with_a_note(tmp_path):
    cache = EmbeddingCache(write(tmp_path / "g.h5", still={("v1", "b"), ("v2", "b")}))
    cache.validate()
    assert cache.still_groups == {"b": ["v1", "v2"]}
    with pytest.warns(UserWarning, match="feature group 'b' does not change over time in 2 videos"):
        warn_of_still(cache)
    with pytest.warns(UserWarning, match="'v1', 'v2'.*Only a, c is used"):
        kept, data = usable_groups(cache, DataConfig())
    assert ([group.name for group in kept.feature_groups], data.groups) == (["a", "c"], ["a", "c"])
    with pytest.raises(UserError, match=r"'b' does not change.*data.groups=\[a,c\]"):
        usable_groups(cache, DataConfig(groups=["a", "b", "c"]))


def test_a_video_that_stands_still_altogether_blames_no_group(tmp_path):
    cache = EmbeddingCache(write(tmp_path / "g.h5", still={("v1", "a"), ("v1", "b"), ("v1", "c")}))
    with pytest.warns(UserWarning, match="do not change over time: 'v1'"):
        cache.validate()
    assert usable_groups(cache, DataConfig()) == (cache, DataConfig())


def test_missing_values_name_video_and_group_and_the_others_can_be_used(tmp_path):
    path = write(tmp_path / "g.h5")
    with h5py.File(path, "r+") as file:
        file["embeddings"][12, 3] = np.nan
    with pytest.raises(UserError, match=r"'v1', frame 2.*in feature group 'b'.*data.groups=\[a,c\]"):
        EmbeddingCache(path).validate()
    open_cache(path, ["a", "c"]).validate()


def test_names_are_made_unique():
    assert unique_names(["a", "b", "a", "a"]) == ["a", "b", "a-2", "a-3"]
