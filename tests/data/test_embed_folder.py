"""From a folder of videos to a cache."""

import numpy as np
import pytest

from tpl_lightning.data.cache import EmbeddingCache
from tpl_lightning.data.embed_folder import embed_folder
from tpl_lightning.data.hog import HogExtractor
from tpl_lightning.data.video_files import read_video, write_video
from tpl_lightning.errors import UserError

pytest.importorskip("av")

QUIET = {"num_workers": 0, "progress": False}


def moving_square(count, *, seed=0, size=48):
    """A bright square that crosses a textured picture."""
    rng = np.random.default_rng(seed)
    frames = np.repeat(rng.integers(40, 90, size=(1, size, size, 3)), count, axis=0).astype(np.uint8)
    for index, place in enumerate(np.linspace(0, size - 12, count).astype(int)):
        frames[index, place : place + 12, place : place + 12] = 240
    return frames


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips") / "my clips"
    for action, count in (("jump", 4), ("turn", 3)):
        for number in range(count):
            name = root / action / f"take {number}.mp4" if number else root / action / f"first_{action}.mp4"
            write_video(name, moving_square(12 + number, seed=number), 24.0)
    return root


@pytest.fixture(scope="module")
def cache(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("cache") / "sub" / "clips.h5"
    return EmbeddingCache(embed_folder(folder, out, dataset="mine", channels=6, **QUIET))


def test_every_video_is_embedded(cache, folder):
    cache.validate()
    assert (cache.dataset, cache.extractor, cache.num_channels) == ("mine", "hog-pca6", 6)
    assert not cache.has_labels
    assert not cache.has_progress
    assert not cache.is_procedural
    assert str(folder.parent) not in cache.source
    # A name that occurs in both actions carries the action; one that does not stays as it is.
    assert cache.video_id.tolist() == [
        "first_jump",
        *(f"jump/take {number}.mp4" for number in (1, 2)),
        "take 3",
        "first_turn",
        *(f"turn/take {number}.mp4" for number in (1, 2)),
    ]
    assert cache.action.tolist() == ["jump"] * 4 + ["turn"] * 3
    assert cache.lengths.tolist() == [12, 13, 14, 15, 12, 13, 14]
    assert set(cache.fps.tolist()) == {24.0}


def test_every_action_is_in_train_and_test(cache):
    for action in ("jump", "turn"):
        splits = cache.split[cache.action == action].tolist()
        assert splits.count("test") == 1
        assert splits.count("train") == len(splits) - 1


def test_stored_extractor_embeds_new_videos_alike(cache, folder):
    extractor = HogExtractor.from_state(*cache.extractor_state())
    frames, _ = read_video(folder / "jump" / "take 3.mp4")
    np.testing.assert_allclose(extractor.embed(frames), cache.read(3), atol=2e-3)  # the cache may hold float16
    train = np.concatenate([cache.read(i) for i in np.flatnonzero(cache.split == "train")])
    assert np.abs(train.mean(axis=0)).max() < 0.1 * train.std()


def test_result_does_not_depend_on_workers(cache, folder, tmp_path):
    out = embed_folder(folder, tmp_path / "x.h5", dataset="mine", channels=6, num_workers=2, progress=False)
    assert EmbeddingCache(out).fingerprint() == cache.fingerprint()


def test_a_given_extractor_is_used_as_it_is(cache, folder, tmp_path):
    extractor = HogExtractor.from_state(*cache.extractor_state())
    (tmp_path / "new" / "jump").mkdir(parents=True)
    for name in ("take 1.mp4", "take 2.mp4"):
        (tmp_path / "new" / "jump" / name).write_bytes((folder / "jump" / name).read_bytes())
    new = EmbeddingCache(embed_folder(tmp_path / "new", tmp_path / "new.h5", extractor=extractor, channels=99, **QUIET))
    assert new.split.tolist() == ["train", "train"]
    np.testing.assert_array_equal(new.read(0), cache.read(1))
    np.testing.assert_array_equal(new.read(1), cache.read(2))


def test_fps_thins_out(folder, tmp_path):
    thin = EmbeddingCache(embed_folder(folder, tmp_path / "thin.h5", channels=4, fps=12.0, **QUIET))
    assert thin.lengths.tolist() == [6, 7, 7, 8, 6, 7, 7]
    assert set(thin.fps.tolist()) == {12.0}


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_broken_file_is_named(folder, tmp_path, num_workers):
    (tmp_path / "clips" / "jump").mkdir(parents=True)
    (tmp_path / "clips" / "jump" / "good.mp4").write_bytes((folder / "jump" / "take 1.mp4").read_bytes())
    bad = tmp_path / "clips" / "jump" / "bad.mp4"
    bad.write_bytes((folder / "jump" / "take 1.mp4").read_bytes()[:700])
    with pytest.raises(UserError) as error:
        embed_folder(tmp_path / "clips", tmp_path / "x.h5", num_workers=num_workers, progress=False)
    assert str(bad) in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "x.h5").exists()


def test_a_single_frame_is_named(folder, tmp_path):
    for name, count in (("a.mp4", 1), ("b.mp4", 9)):
        write_video(tmp_path / "clips" / "jump" / name, moving_square(count), 24.0)
    with pytest.raises(UserError, match=r"at least 2 frames in .*a\.mp4"):
        embed_folder(tmp_path / "clips", tmp_path / "x.h5", **QUIET)


def test_folders_that_do_not_do_are_named(folder, tmp_path):
    with pytest.raises(UserError, match="nowhere"):
        embed_folder(tmp_path / "nowhere", tmp_path / "x.h5", **QUIET)
    (tmp_path / "empty" / "jump").mkdir(parents=True)
    with pytest.raises(UserError, match="found none"):
        embed_folder(tmp_path / "empty", tmp_path / "x.h5", **QUIET)
    (tmp_path / "empty" / "jump" / "a.mp4").write_bytes((folder / "jump" / "take 1.mp4").read_bytes())
    with pytest.raises(UserError, match="jump has 1"):
        embed_folder(tmp_path / "empty", tmp_path / "x.h5", **QUIET)
    with pytest.raises(UserError, match="fewer channels"):
        embed_folder(folder, tmp_path / "x.h5", channels=500, **QUIET)


def test_progress_is_reported_on_standard_error(folder, tmp_path, capsys):
    embed_folder(folder, tmp_path / "x.h5", channels=4, num_workers=0)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Embedding videos: 7/7" in captured.err
