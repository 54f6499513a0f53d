"""HOG features and their projection."""

import numpy as np
import pytest
from skimage.feature import hog

from tpl_lightning.data.cache import EmbeddingCache, EmbeddingCacheWriter
from tpl_lightning.data.hog import HogExtractor, HogParams, fit_square, hog_features
from tpl_lightning.errors import UserError

SMALL = HogParams(size=32, cell=8, block=2, orientations=6)


def _blobs(count, height=40, width=60, seed=0):
    """Frames with a rectangle that moves over a fixed texture."""
    rng = np.random.default_rng(seed)
    frames = np.repeat(rng.integers(60, 120, size=(1, height, width, 3)), count, axis=0).astype(np.uint8)
    for index, x in enumerate(np.linspace(2, width - 16, count).astype(int)):
        frames[index, 10:28, x : x + 12] = 230
    return frames


def test_features_are_those_of_scikit_image():
    grey = np.random.default_rng(0).integers(0, 256, size=(32, 32)).astype(np.uint8)
    frames = np.repeat(grey[None, ..., None], 3, axis=-1)
    params = HogParams(size=32, cell=8, block=2, orientations=6, mirror_invariant=False)
    expected = hog(
        grey / 255.0,
        orientations=6,
        pixels_per_cell=(8, 8),
        cells_per_block=(2, 2),
        block_norm="L2-Hys",
        transform_sqrt=True,
    )
    found = hog_features(frames, params=params)
    assert found.shape == (1, params.num_features)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    "params",
    [
        HogParams(),
        SMALL,
        HogParams(size=45, cell=9, block=3, orientations=9),
        HogParams(size=32, cell=4, orientations=7),
    ],
)
def test_features_and_their_mirror_are_those_of_scikit_image(params):
    rng = np.random.default_rng(0)
    textures = rng.integers(0, 256, size=(4, params.size, params.size))
    edges = np.zeros((4, params.size, params.size), int)  # exactly horizontal, vertical and diagonal: borders of bins
    edges[0, params.size // 3 :], edges[1, :, params.size // 3 :] = 200, 90
    edges[2], edges[3] = np.tril(edges[2] + 255), np.tril(edges[3] + 70)[::-1]
    grey = np.concatenate([textures, edges]).astype(np.uint8)

    def expected(picture):
        return hog(
            (picture / np.float32(255)).astype(np.float32),
            orientations=params.orientations,
            pixels_per_cell=(params.cell, params.cell),
            cells_per_block=(params.block, params.block),
            block_norm="L2-Hys",
            transform_sqrt=True,
        )

    found = hog_features(grey[..., None].repeat(3, axis=-1), params=params)
    for row, picture in zip(found, grey, strict=True):
        np.testing.assert_allclose(row, 0.5 * (expected(picture) + expected(picture[:, ::-1])), atol=1e-6)


@pytest.mark.parametrize("params", [SMALL, HogParams()])
def test_mirrored_frames_have_the_same_features(params):
    frames = _blobs(3, 64, 64)
    mirrored = frames[:, :, ::-1]
    np.testing.assert_allclose(hog_features(frames, params=params), hog_features(mirrored, params=params), atol=1e-6)
    plain = HogParams(**{**vars(params), "mirror_invariant": False})
    difference = np.abs(hog_features(frames, params=plain) - hog_features(mirrored, params=plain))
    assert difference.max() > 0.05


def test_frames_do_not_influence_each_other():
    frames = _blobs(70)  # more than one chunk
    extractor = HogExtractor(params=SMALL, channels=2)
    together = extractor.features(iter(frames))
    assert together.shape == (70, SMALL.num_features)
    for index in (0, 63, 64, 69):
        np.testing.assert_array_equal(together[index], extractor.features([frames[index]])[0])
    assert extractor.features([]).shape == (0, SMALL.num_features)


def test_fit_square_keeps_proportions_and_adds_no_edge():
    frame = np.zeros((30, 60, 3), np.uint8)
    frame[:, 30:] = 255
    square = fit_square(frame, 20)
    assert square.shape == (20, 20)
    assert square.dtype == np.float32
    # The half that is white stays half, and rows that are missing repeat those at the border.
    np.testing.assert_allclose(square.mean(), 0.5, atol=0.02)
    np.testing.assert_allclose(square, np.repeat(square[:1], 20, axis=0), atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3)])
def test_fit_square_takes_any_shape(shape):
    assert fit_square(np.full((*shape, 3), 100, np.uint8), 16).shape == (16, 16)


def test_components_are_orthonormal_and_blind_to_who_is_seen():
    features = [hog_features(_blobs(12, seed=seed), params=SMALL) for seed in range(3)]
    extractor = HogExtractor(params=SMALL, channels=4).fit(features)
    np.testing.assert_allclose(extractor.components @ extractor.components.T, np.eye(4), atol=1e-5)
    shifted = [video + offset for video, offset in zip(features, (0.0, 5.0, -3.0), strict=True)]
    again = HogExtractor(params=SMALL, channels=4).fit(shifted)
    # Same subspace: a constant that belongs to a video takes no channel.
    np.testing.assert_allclose(np.abs(again.components @ extractor.components.T), np.eye(4), atol=2e-2)


def test_state_survives_a_cache(tmp_path):
    features = [hog_features(_blobs(12, seed=seed), params=SMALL) for seed in range(2)]
    extractor = HogExtractor(params=SMALL, channels=5).fit(features)
    path = tmp_path / "x.h5"
    with EmbeddingCacheWriter(path, dataset="d", extractor=extractor.name, source="s", phase_names={}) as writer:
        writer.append(video_id="a", action="b", split="train", embeddings=extractor.transform(features[0]), fps=24.0)
        writer.set_extractor_state(*extractor.state())
    again = HogExtractor.from_state(*EmbeddingCache(path).extractor_state())
    assert (again.params, again.channels, again.name) == (SMALL, 5, "hog-pca5")
    frames = _blobs(4, seed=7)
    np.testing.assert_array_equal(again(frames), extractor(frames))


def test_broken_states_are_named():
    features = [hog_features(_blobs(12), params=SMALL)]
    arrays, attrs = HogExtractor(params=SMALL, channels=3).fit(features).state()
    with pytest.raises(UserError, match="components"):
        HogExtractor.from_state({"mean": arrays["mean"]}, attrs)
    with pytest.raises(UserError, match="cell"):
        HogExtractor.from_state(arrays, {k: v for k, v in attrs.items() if k != "cell"})
    with pytest.raises(UserError, match="dinov2"):
        HogExtractor.from_state(arrays, {**attrs, "kind": "dinov2"})
    with pytest.raises(UserError, match="components of shape"):
        HogExtractor.from_state(arrays, {**attrs, "orientations": 7})


def test_wrong_use_is_named():
    with pytest.raises(UserError, match="fitted"):
        HogExtractor().transform(np.zeros((2, 768), np.float32))
    with pytest.raises(UserError, match="fitted"):
        HogExtractor().state()
    with pytest.raises(UserError, match="channels"):
        HogExtractor(channels=0)
    with pytest.raises(UserError, match=r"at most 11 channels for 12 training frames"):
        HogExtractor(params=SMALL, channels=12).fit([hog_features(_blobs(12), params=SMALL)])
    with pytest.raises(UserError, match="at frame 0"):
        hog_features(np.zeros((1, 8, 8), np.uint8))
    with pytest.raises(UserError, match="float64"):
        hog_features(np.zeros((1, 8, 8, 3)))
    fitted = HogExtractor(params=SMALL, channels=3).fit([hog_features(_blobs(12), params=SMALL)])
    with pytest.raises(UserError, match="features of shape"):
        fitted.transform(np.zeros((2, 5), np.float32))
    with pytest.raises(UserError, match="multiple"):
        HogParams(size=30)
    with pytest.raises(UserError, match="block"):
        HogParams(size=32, cell=16, block=3)
