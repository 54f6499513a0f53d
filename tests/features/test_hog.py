"""HOG features and their projection."""

from dataclasses import replace

import numpy as np
import pytest

from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.errors import UserError
from tpl_lightning.features.gradients import HogParams, fit_square, hog_features
from tpl_lightning.features.hog import HogExtractor
from tpl_lightning.features.motion import cell_motion

SMALL = HogParams(size=32, cell=8, block=2, orientations=6)


def _blobs(count, height=40, width=60, seed=0):
    """Frames with a rectangle that moves over a fixed texture."""
    rng = np.random.default_rng(seed)
    frames = np.repeat(rng.integers(60, 120, size=(1, height, width, 3)), count, axis=0).astype(np.uint8)
    for index, x in enumerate(np.linspace(2, width - 16, count).astype(int)):
        frames[index, 10:28, x : x + 12] = 230
    return frames


def _by_hand(picture, params):
    """HOG of one grey picture, pixel by pixel; one block."""
    cells, bins = params.cells, params.orientations
    found = np.zeros((cells, cells, bins))
    middle = (np.arange(cells) + 0.5) * params.cell - 0.5
    for y in range(params.size):
        for x in range(params.size):
            down = picture[y + 1, x] - picture[y - 1, x] if 0 < y < params.size - 1 else 0.0
            across = picture[y, x + 1] - picture[y, x - 1] if 0 < x < params.size - 1 else 0.0
            place = np.arctan2(down, across) * bins / np.pi
            below = int(np.floor(place))
            spread = params.spread * params.cell
            window = np.outer(np.exp(-0.5 * ((y - middle) / spread) ** 2), np.exp(-0.5 * ((x - middle) / spread) ** 2))
            for k, share in ((below, below + 1 - place), (below + 1, place - below)):
                found[:, :, k % bins] += window * share * np.hypot(down, across)
    values = found.ravel() / np.linalg.norm(found)
    values = np.minimum(values, 0.2)
    return values / np.linalg.norm(values)


def test_features_are_soft_histograms_of_gradients():
    params = HogParams(size=16, cell=4, block=4, orientations=6)
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 256, size=(3, 16, 16)).astype(np.uint8)
    grey[1] = np.tril(grey[1] // 200 + 90)  # edges of few directions
    grey[2] = np.linspace(0, 250, 16).astype(np.uint8)
    frames = grey[..., None].repeat(3, axis=-1)
    plain = HogParams(**{**vars(params), "mirror_invariant": False})
    for row, picture in zip(hog_features(frames, params=plain), grey / 255, strict=True):
        np.testing.assert_allclose(row, _by_hand(picture, params), atol=1e-5)
    for row, picture in zip(hog_features(frames, params=params), grey / 255, strict=True):
        both = 0.5 * (_by_hand(picture, params) + _by_hand(picture[:, ::-1], params))
        np.testing.assert_allclose(row, both, atol=1e-5)


def test_features_change_little_where_little_changes():
    params = HogParams()
    x = np.arange(128)[None, :]

    def bar(place, tilt):
        shade = 200 / (1 + np.exp(-(x - place - tilt * np.arange(128)[:, None])))
        return shade.astype(np.uint8)[..., None].repeat(3, axis=-1)

    # Over the border of two cells, and over that of two bins of direction.
    for frames in ([bar(40 + s, 0.0) for s in range(17)], [bar(40, 0.02 * s) for s in range(17)]):
        steps = np.linalg.norm(np.diff(hog_features(frames, params=params), axis=0), axis=1)
        assert steps.max() < 3 * steps.mean()


@pytest.mark.parametrize("params", [SMALL, HogParams()])
def test_mirrored_frames_have_the_same_features(params):
    frames = _blobs(3, 64, 64)
    mirrored = frames[:, :, ::-1]
    np.testing.assert_allclose(hog_features(frames, params=params), hog_features(mirrored, params=params), atol=1e-6)
    plain = HogParams(**{**vars(params), "mirror_invariant": False})
    difference = np.abs(hog_features(frames, params=plain) - hog_features(mirrored, params=plain))
    assert difference.max() > 0.05


def test_shape_is_that_of_the_frame_alone_and_chunks_change_nothing():
    frames = _blobs(133)  # more than two chunks
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
    frames = np.repeat(_blobs(1), 6, axis=0)
    features = HogExtractor(params=SMALL).features(frames)
    assert np.abs(features[:, SMALL.num_shape_features :]).max() < 1e-6


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
    features = [HogExtractor(params=SMALL).features(_blobs(12, seed=seed)) for seed in range(3)]
    extractor = HogExtractor(params=SMALL, channels=4).fit(features)
    np.testing.assert_allclose(extractor.components @ extractor.components.T, np.eye(4), atol=1e-5)
    shifted = [video + offset for video, offset in zip(features, (0.0, 5.0, -3.0), strict=True)]
    again = HogExtractor(params=SMALL, channels=4).fit(shifted)
    # Same subspace: a constant that belongs to a video takes no channel.
    np.testing.assert_allclose(np.abs(again.components @ extractor.components.T), np.eye(4), atol=2e-2)


def test_state_survives_a_cache(tmp_path):
    features = [HogExtractor(params=SMALL).features(_blobs(12, seed=seed)) for seed in range(2)]
    extractor = HogExtractor(params=SMALL, channels=5).fit(features)
    path = tmp_path / "x.h5"
    with EmbeddingCacheWriter(path, dataset="d", extractor=extractor.name, source="s", phase_names={}) as writer:
        writer.append(video_id="a", action="b", split="train", embeddings=extractor.transform(features[0]), fps=24.0)
        writer.set_extractor_state(*extractor.state())
    again = HogExtractor.from_state(*EmbeddingCache(path).extractor_state())
    assert (again.params, again.num_channels, again.name) == (SMALL, 5, "hog-pca5")
    frames = _blobs(4, seed=7)
    np.testing.assert_array_equal(again(frames), extractor(frames))


def test_states_from_before_there_was_stabilisation_go_without():
    features = [HogExtractor(params=SMALL).features(_blobs(12))]
    arrays, attrs = HogExtractor(params=SMALL, channels=3).fit(features).state()
    del attrs["stabilise"]
    assert not HogExtractor.from_state(arrays, attrs).params.stabilise


def test_broken_states_are_named():
    features = [HogExtractor(params=SMALL).features(_blobs(12))]
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
    features = HogExtractor(params=SMALL).features(_blobs(12))
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
    fitted = HogExtractor(params=SMALL, channels=3).fit([HogExtractor(params=SMALL).features(_blobs(12))])
    with pytest.raises(UserError, match="features of shape"):
        fitted.transform(np.zeros((2, 5), np.float32))
    with pytest.raises(UserError, match="multiple"):
        HogParams(size=30)
    with pytest.raises(UserError, match="block"):
        HogParams(size=32, cell=16, block=3)
