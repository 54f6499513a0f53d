"""HOG features and their projection."""

from dataclasses import replace

import numpy as np
import pytest

from tests.features.small_hog import SMALL, blobs
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.errors import UserError
from tpl_lightning.features.gradients import HogParams, fit_square, hog_features
from tpl_lightning.features.hog import HogExtractor
from tpl_lightning.features.motion import cell_motion


def test_shape_is_that_of_the_frame_alone_and_chunks_change_nothing():
    frames = blobs(133)  # more than two chunks
    extractor = HogExtractor(params=replace(SMALL, stabilise=False), channels=2)
    together = extractor.features(iter(frames))
    assert together.shape == (133, SMALL.num_features)
    shape = SMALL.num_shape_features
    for index in (0, 63, 64, 132):
        np.testing.assert_allclose(together[index, :shape], extractor.features([frames[index]])[0, :shape], atol=1e-7)
    assert extractor.features([]).shape == (0, SMALL.num_features)
    assert extractor.features(frames[:1]).shape == (1, SMALL.num_features)
    # Motion of every frame, from its neighbours across the chunks.
    squares = np.stack([fit_square(frame, 32) for frame in frames])
    small = squares.reshape(133, 16, 2, 16, 2).mean((2, 4))
    windows = np.exp(-0.5 * ((np.arange(16)[None] - (4 * np.arange(4)[:, None] + 1.5)) / (0.7 * 4)) ** 2) / 4
    padded = np.concatenate([small[:1], small[:1], small, small[-1:], small[-1:]])
    motion = cell_motion(padded, windows.astype(np.float32), mirror_invariant=True)
    motion *= SMALL.motion / np.sqrt((motion**2).sum(1).mean())
    np.testing.assert_allclose(together[:, shape:], motion, atol=1e-4)


def test_a_still_video_has_no_motion():
    frames = np.repeat(blobs(1), 6, axis=0)
    features = HogExtractor(params=SMALL).features(frames)
    assert np.abs(features[:, SMALL.num_shape_features :]).max() < 1e-6


def test_components_are_orthonormal_and_blind_to_who_is_seen():
    features = [HogExtractor(params=SMALL).features(blobs(12, seed=seed)) for seed in range(3)]
    extractor = HogExtractor(params=SMALL, channels=4).fit(features)
    np.testing.assert_allclose(extractor.components @ extractor.components.T, np.eye(4), atol=1e-5)
    shifted = [video + offset for video, offset in zip(features, (0.0, 5.0, -3.0), strict=True)]
    again = HogExtractor(params=SMALL, channels=4).fit(shifted)
    # Same subspace: a constant that belongs to a video takes no channel.
    np.testing.assert_allclose(np.abs(again.components @ extractor.components.T), np.eye(4), atol=2e-2)


def test_state_survives_a_cache(tmp_path):
    features = [HogExtractor(params=SMALL).features(blobs(12, seed=seed)) for seed in range(2)]
    extractor = HogExtractor(params=SMALL, channels=5).fit(features)
    path = tmp_path / "x.h5"
    with EmbeddingCacheWriter(path, dataset="d", extractor=extractor.name, source="s", phase_names={}) as writer:
        writer.append(video_id="a", action="b", split="train", embeddings=extractor.transform(features[0]), fps=24.0)
        writer.set_extractor_state(*extractor.state())
    again = HogExtractor.from_state(*EmbeddingCache(path).extractor_state())
    assert (again.params, again.num_channels, again.name) == (SMALL, 5, "hog-pca5")
    frames = blobs(4, seed=7)
    np.testing.assert_array_equal(again(frames), extractor(frames))


def test_states_from_before_there_was_stabilisation_go_without():
    features = [HogExtractor(params=SMALL).features(blobs(12))]
    arrays, attrs = HogExtractor(params=SMALL, channels=3).fit(features).state()
    del attrs["stabilise"]
    assert not HogExtractor.from_state(arrays, attrs).params.stabilise


def test_broken_states_are_named():
    features = [HogExtractor(params=SMALL).features(blobs(12))]
    arrays, attrs = HogExtractor(params=SMALL, channels=3).fit(features).state()
    with pytest.raises(UserError, match="components"):
        HogExtractor.from_state({"mean": arrays["mean"]}, attrs)
    with pytest.raises(UserError, match="cell"):
        HogExtractor.from_state(arrays, {k: v for k, v in attrs.items() if k != "cell"})
    with pytest.raises(UserError, match="dinov2"):
        HogExtractor.from_state(arrays, {**attrs, "kind": "dinov2"})
    with pytest.raises(UserError, match="components of shape"):
        HogExtractor.from_state(arrays, {**attrs, "orientations": 7})


def test_few_frames_have_few_components():
    features = HogExtractor(params=SMALL).features(blobs(12))
    with pytest.warns(UserWarning, match="12 training frames in 1 videos have 11 components"):
        fitted = HogExtractor(params=SMALL, channels=64).fit([features])
    assert (fitted.num_channels, fitted.name) == (11, "hog-pca11")
    assert fitted.transform(features).shape == (12, 11)
    with pytest.raises(UserError, match="more than one frame"):
        HogExtractor(params=SMALL).fit([features[:1]])


def test_wrong_use_is_named():
    with pytest.raises(UserError, match="fitted"):
        HogExtractor().transform(np.zeros((2, 768), np.float32))
    with pytest.raises(UserError, match="fitted"):
        HogExtractor().state()
    with pytest.raises(UserError, match="channels"):
        HogExtractor(channels=0)
    with pytest.raises(UserError, match="at frame 0"):
        hog_features(np.zeros((1, 8, 8), np.uint8))
    with pytest.raises(UserError, match="float64"):
        hog_features(np.zeros((1, 8, 8, 3)))
    fitted = HogExtractor(params=SMALL, channels=3).fit([HogExtractor(params=SMALL).features(blobs(12))])
    with pytest.raises(UserError, match="features of shape"):
        fitted.transform(np.zeros((2, 5), np.float32))
    with pytest.raises(UserError, match="multiple"):
        HogParams(size=30)
    with pytest.raises(UserError, match="block"):
        HogParams(size=32, cell=16, block=3)
