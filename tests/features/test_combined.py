"""Several extractors side by side: each as it would be alone, of one decoding."""

import threading
from unittest import mock

import numpy as np
import pytest

from tests.features.small_hog import SMALL
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.errors import UserError
from tpl_lightning.features import Clip, clips_of_folder, embed_clips, merge_shards
from tpl_lightning.features.combined import CombinedExtractor
from tpl_lightning.features.extractors import embed_video, extractor_of_cache, make_extractor
from tpl_lightning.features.hog import HogExtractor
from tpl_lightning.video.decoding import FrameDecoder
from tpl_lightning.video.files import write_video

pytest.importorskip("av")
transformers = pytest.importorskip("transformers")


def moving_square(count, *, seed=0, size=48):
    rng = np.random.default_rng(seed)
    frames = np.repeat(rng.integers(40, 90, size=(1, size, size + 16, 3)), count, axis=0).astype(np.uint8)
    for index, place in enumerate(np.linspace(0, size - 12, count).astype(int)):
        frames[index, place : place + 12, place : place + 12] = 240
    return frames


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("clips")
    for number in range(3):
        write_video(root / "fall" / f"fall_{number}.mp4", moving_square(12 + number, seed=number), 24.0)
    return root


def small_hog(channels=5):
    return HogExtractor(params=SMALL, channels=channels)


def build(*names):
    """Build extractors by name, HOG a small one: its components are found in no time."""
    parts = [small_hog() if name == "hog" else make_extractor(name) for name in names]
    return parts[0] if len(parts) == 1 else CombinedExtractor(parts)


def embed(folder, out, extractor):
    embed_clips(
        clips_of_folder(folder),
        out,
        extractor=extractor,
        dataset="d",
        source="s",
        dtype="float32",
        num_workers=0,
        progress=False,
    )
    return EmbeddingCache(out)


def test_each_part_is_as_it_is_alone_and_each_video_is_decoded_once(folder, tmp_path, dinov2, vit, monkeypatch):
    alone = [embed(folder, tmp_path / f"{k}.h5", build(name)) for k, name in enumerate(("hog", dinov2, vit))]
    opened = []
    plain = FrameDecoder.__iter__
    monkeypatch.setattr(FrameDecoder, "__iter__", lambda self: opened.append(self.path.name) or plain(self))
    cache = embed(folder, tmp_path / "all.h5", build("hog", dinov2, vit))
    assert sorted(opened) == ["fall_0.mp4", "fall_1.mp4", "fall_2.mp4"]
    cache.validate()
    assert cache.feature_groups == [("hog", 5), ("tiny-dinov2", 32), ("tiny-vit", 16)]
    assert cache.extractor == "hog-pca5+tiny-dinov2+tiny-vit"
    for video in range(3):
        np.testing.assert_array_equal(cache.read(video), np.concatenate([c.read(video) for c in alone], axis=1))
        np.testing.assert_allclose(cache.frame_times(video), alone[0].frame_times(video))


def test_new_videos_are_embedded_by_the_same_parts(folder, tmp_path, dinov2):
    cache = embed(folder, tmp_path / "all.h5", build("hog", dinov2))
    video = folder / "fall" / "fall_1.mp4"
    extractor = extractor_of_cache(cache)
    assert extractor.feature_groups == cache.feature_groups
    np.testing.assert_allclose(embed_video(video, extractor)[0], cache.read(1), atol=1e-5)
    hog = extractor_of_cache(cache.choose(["hog"]))
    assert isinstance(hog, HogExtractor)
    np.testing.assert_allclose(embed_video(video, hog)[0], cache.read(1)[:, :5], atol=1e-5)
    swapped = extractor_of_cache(cache.choose(["tiny-dinov2", "hog"]))
    np.testing.assert_allclose(embed_video(video, swapped)[0], cache.read(1)[:, [*range(5, 37), *range(5)]], atol=1e-5)


def test_a_cache_names_the_extractor_that_made_it(folder, tmp_path, dinov2):
    cache = embed(folder, tmp_path / "all.h5", build("hog", dinov2))
    again = embed(folder, tmp_path / "again.h5", make_extractor(str(cache.path)))
    assert again.feature_groups == cache.feature_groups
    np.testing.assert_allclose(again.read(2), cache.read(2), atol=1e-5)


def test_processes_that_share_the_work_merge_to_the_same(folder, tmp_path, dinov2, monkeypatch):
    whole = embed(folder, tmp_path / "whole.h5", build("hog", dinov2))
    out = tmp_path / "shared.h5"
    for fitted in (False, True):
        monkeypatch.setenv("WORLD_SIZE", "2")
        for rank in ("1", "0"):
            monkeypatch.setenv("RANK", rank)
            clips = clips_of_folder(folder)
            extractor = make_extractor(str(whole.path)) if fitted else build("hog", dinov2)
            if rank == "0":  # as if rank 0 had been killed before it merged
                monkeypatch.setattr("tpl_lightning.features.embedding.merge_shards", lambda *_, **__: out)
            embed_clips(clips, out, extractor=extractor, dataset="d", source="s", num_workers=0, progress=False)
        monkeypatch.undo()
        merged = EmbeddingCache(merge_shards(out))
        assert merged.feature_groups == whole.feature_groups
        np.testing.assert_allclose(merged.read(1), whole.read(1), atol=2e-3, rtol=2e-3)


def test_images_and_plain_frames_feed_all_parts(tmp_path, dinov2):
    from PIL import Image

    frames = moving_square(6, size=60)
    for number, frame in enumerate(frames):
        (tmp_path / "a").mkdir(exist_ok=True)
        Image.fromarray(frame).save(tmp_path / "a" / f"{number}.png")
    parts = [small_hog(3), make_extractor(dinov2)]
    combined = CombinedExtractor(parts)
    clip = Clip("v", "a", "train", tmp_path / "a", kind="images")
    from_images = combined.features(iter(clip.reader(size=combined.decode_sizes)))
    alone = [part.features(iter(clip.reader(size=part.decode_size))) for part in parts]
    np.testing.assert_array_equal(from_images, np.concatenate(alone, axis=1))
    expected = np.concatenate([part.features(iter(frames)) for part in parts], axis=1)
    np.testing.assert_array_equal(combined.features(iter(frames)), expected)


def test_a_part_that_fails_ends_all_and_leaves_no_thread(tmp_path, dinov2):
    combined = CombinedExtractor([small_hog(3), make_extractor(dinov2)])
    before = set(threading.enumerate())
    wrong = [np.zeros((20, 20, 3), np.uint8)] * 200 + [np.zeros((20, 20), np.uint8)] * 200
    with pytest.raises(UserError, match="RGB frames"):
        combined.features(iter(wrong))

    def broken():
        yield from wrong[:5]
        raise UserError("the file ends")

    with pytest.raises(UserError, match="the file ends"):
        combined.features(broken())
    assert set(threading.enumerate()) <= before  # others may end meanwhile


def test_without_weights_the_others_go_on_with_a_note(monkeypatch, tmp_path, dinov2):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", mock.Mock(side_effect=OSError("no network")))
    with pytest.warns(UserWarning, match="dinov2 is left out, embedding by hog alone"):
        extractor = make_extractor("hog+dinov2")
    assert isinstance(extractor, HogExtractor)
    with pytest.warns(UserWarning, match="embedding by hog\\+tiny-dinov2 alone"):
        assert make_extractor(f"hog+openclip+{dinov2}").names == ["hog", "tiny-dinov2"]
    with pytest.raises(UserError, match="dinov2-base"):
        make_extractor("dinov2")
    with pytest.raises(UserError, match="folder"):
        make_extractor(f"hog+{tmp_path / 'none'}")


@pytest.mark.parametrize("name", ["hog+", "+hog", "hog+hog"])
def test_wrong_combinations_are_named(name):
    with pytest.raises(UserError, match=r"joined by \+"):
        make_extractor(name)


def test_models_of_one_name_get_names_of_their_own(tmp_path, vit, dinov2):
    import shutil

    shutil.copytree(dinov2, tmp_path / "tiny-vit")
    assert make_extractor(f"{vit}+{tmp_path / 'tiny-vit'}").names == ["tiny-vit", "tiny-vit-2"]
