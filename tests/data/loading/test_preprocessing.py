"""Centring, PCA and scaling against scikit-learn, and their way through a checkpoint."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from tpl_lightning.config.runs import DataConfig
from tpl_lightning.data.cache.groups import FeatureGroup
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.data.loading.batch import PackedBatch
from tpl_lightning.data.loading.preprocessing import Preprocessor
from tpl_lightning.data.loading.splits import split_videos
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.errors import UserError


def _train(cache):
    return split_videos(VideoSet(cache), DataConfig()).train


@pytest.mark.parametrize("center", [True, False])
def test_pca_equals_scikit_learn(cache, center):
    train = _train(cache)
    fitted = Preprocessor.fit(train, DataConfig(pca=3, center=center, scale="none"))
    frames = [train.read(i).astype(np.float64) for i in range(len(train))]
    if center:
        frames = [f - f.mean(0) for f in frames]
    reference = PCA(3).fit(np.concatenate(frames))
    for i, video in enumerate(frames):
        expected = (video - (0 if center else reference.mean_)) @ reference.components_.T
        found = fitted(train.read(i))
        assert found.dtype == np.float32
        signs = np.sign((found * expected).sum(0))
        np.testing.assert_allclose(found * signs, expected, atol=1e-4)


@pytest.mark.parametrize("pca", [None, 4, 100])
@pytest.mark.parametrize("center", [True, False])
def test_scaling_makes_the_total_variance_one(cache, pca, center):
    train = _train(cache)
    fitted = Preprocessor.fit(train, DataConfig(pca=pca, center=center, scale="set"))
    assert fitted.num_channels == (4 if pca == 4 else 6)
    done = np.concatenate([fitted(train.read(i)) for i in range(len(train))])
    assert done.var(axis=0).sum() == pytest.approx(1.0, rel=1e-4)
    single = Preprocessor.fit(train, DataConfig(pca=pca, center=center, scale="video"))(train.read(1))
    assert single.var(axis=0).sum() == pytest.approx(1.0, rel=1e-4)


def test_test_videos_change_nothing(cache):
    data = DataConfig(pca=3)
    videos = VideoSet(cache)
    fitted = Preprocessor.fit(_train(cache), data)
    everything = Preprocessor.fit(videos, data)
    assert not np.allclose(fitted.components, everything.components)


@pytest.mark.parametrize("pca", [None, 3])
@pytest.mark.parametrize("scale", ["set", "video", "none"])
def test_state_survives_a_weights_only_checkpoint(cache, tmp_path, pca, scale):
    fitted = Preprocessor.fit(_train(cache), DataConfig(pca=pca, scale=scale))
    torch.save(fitted.state(), tmp_path / "x.pt")
    again = Preprocessor.from_state(torch.load(tmp_path / "x.pt", weights_only=True))
    np.testing.assert_array_equal(again(cache.read(7)), fitted(cache.read(7)))


@pytest.mark.parametrize("pca", [None, 3])
@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("scale", ["set", "video", "none"])
def test_videos_behind_one_another_are_preprocessed_as_each_alone(cache, pca, center, scale):
    fitted = Preprocessor.fit(_train(cache), DataConfig(pca=pca, center=center, scale=scale))
    alone = [cache.read(i) for i in (4, 0, 7)]
    frames = torch.from_numpy(np.concatenate(alone))
    before = frames.clone()
    found = fitted.packed(frames, [len(x) for x in alone])
    np.testing.assert_allclose(found.numpy(), np.concatenate([fitted(x) for x in alone]), atol=2e-6)
    assert torch.equal(frames, before)


def test_a_video_without_motion_stays_finite(cache):
    fitted = Preprocessor.fit(_train(cache), DataConfig(pca=3, scale="video"))
    still = fitted(np.full((9, 6), 0.3, np.float32))
    assert np.abs(still).max() < 1.0


@pytest.mark.parametrize("size", [1e-7, 1e4])
def test_the_unit_of_the_embeddings_does_not_matter(tmp_path, cache, size):
    path = tmp_path / "scaled.h5"
    train = _train(cache)
    with EmbeddingCacheWriter(path, dataset="d", extractor="e", source="s", phase_names={}, dtype="float32") as writer:
        for i in range(len(train)):
            writer.append(
                video_id=train.video_id[i], action=train.action[i], split="train", embeddings=train.read(i) * size
            )
    scaled = VideoSet(EmbeddingCache(path))
    expected, found = (Preprocessor.fit(videos, DataConfig(pca=3)) for videos in (train, scaled))
    np.testing.assert_allclose(found(scaled.read(2)), expected(train.read(2)), atol=1e-4)


def test_components_have_a_fixed_sign_and_reading_order_hardly_matters(cache):
    train = _train(cache)
    fitted = Preprocessor.fit(train, DataConfig(pca=4))
    largest = np.abs(fitted.components.numpy()).argmax(axis=1)
    assert (fitted.components[np.arange(4), largest] > 0).all()
    again = Preprocessor.fit(train.select(np.arange(len(train))[::-1]), DataConfig(pca=4))
    np.testing.assert_allclose(again.components, fitted.components, atol=1e-5)


def _long(path, videos, length):
    """Write videos of slow waves in three channels out of six."""
    rng, about = np.random.default_rng(3), {"dataset": "d", "extractor": "e", "source": "s", "phase_names": {}}
    with EmbeddingCacheWriter(path, **about) as writer:
        for number in range(videos):
            waves = np.sin(np.linspace(0, 40, length)[:, None] * [1, 2, 3] + rng.uniform(0, 6, 3)) * [3, 2, 1]
            frames = np.concatenate([waves, rng.normal(scale=0.1, size=(length, 3))], axis=1)
            writer.append(video_id=f"v{number}", action="x", split="train", embeddings=frames)
    return VideoSet(EmbeddingCache(path))


def test_a_large_set_is_fitted_on_videos_evenly_spread(tmp_path, monkeypatch):
    train, read, read_batch = _long(tmp_path / "long.h5", 9, 6000), [], VideoSet.read_batch
    whole = Preprocessor.fit(train.select(np.arange(4)), DataConfig(pca=3))
    monkeypatch.setattr(VideoSet, "read_batch", lambda self, i, *to: read.extend(i) or read_batch(self, i, *to))
    part = Preprocessor.fit(train, DataConfig(pca=3))
    assert read == [0, 3, 5, 8]
    np.testing.assert_allclose(part.components.abs().numpy(), np.eye(3, 6), atol=0.02)  # every third frame
    assert part.scale == pytest.approx(np.sqrt((9 + 4 + 1) / 2), rel=0.01)
    assert part.scale == pytest.approx(whole.scale, rel=0.01)


def test_constant_embeddings_are_refused(tmp_path):
    path = tmp_path / "flat.h5"
    with EmbeddingCacheWriter(path, dataset="d", extractor="e", source="s", phase_names={}) as writer:
        for name in "ab":
            writer.append(video_id=name, action="x", split="train", embeddings=np.full((5, 3), 2.0))
    with pytest.raises(UserError, match="do not vary"):
        Preprocessor.fit(VideoSet(EmbeddingCache(path)), DataConfig())


@pytest.mark.parametrize(
    "options", [{}, {"pca": 2}, {"center": False, "pca": 2}, {"scale": "video"}, {"scale": "none"}]
)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_a_batch_is_preprocessed_as_its_videos_are(cache, options, dtype):
    videos = VideoSet(cache)
    preprocess = Preprocessor.fit(videos, DataConfig(**{"pca": None, **options}))
    rows = [torch.from_numpy(videos.read(i)).to(dtype) for i in range(4)]
    lengths = torch.tensor([len(row) for row in rows])
    frames = torch.cat([*rows, torch.zeros(1, rows[0].shape[1], dtype=dtype)])
    labels = torch.arange(len(frames), dtype=torch.int16)
    size = int(lengths.max()) + 2
    packed = PackedBatch(frames.clone(), labels, lengths, torch.arange(4), torch.arange(4), size, points=9)
    batch = preprocess.padded(packed)
    done = batch.embeddings
    assert done.dtype == torch.float32
    assert done.shape[:2] == batch.labels.shape == (4, size)
    assert batch.points == 9
    assert torch.equal(packed.frames, frames)
    for found, own in zip(batch.labels.tolist(), labels[:-1].split(lengths.tolist()), strict=True):
        assert found == [*own.tolist(), *[len(labels) - 1] * (size - len(own))]
    for found, row, length in zip(done, rows, lengths.tolist(), strict=True):
        np.testing.assert_allclose(found[:length], preprocess(row.float().numpy()), atol=2e-6)
        assert not found[length:].any()


def test_a_few_components_of_many_channels_are_those_of_scikit_learn(tmp_path):
    rng = np.random.default_rng(2)
    path, mixing = tmp_path / "wide.h5", rng.normal(size=(30, 600)) * np.arange(1, 31)[:, None] ** -0.75
    videos = [rng.normal(size=(80, 30)) @ mixing for _ in range(4)]
    about = {"dataset": "d", "extractor": "e", "source": "s", "phase_names": {}}
    with EmbeddingCacheWriter(path, **about, dtype="float32") as writer:
        for number, frames in enumerate(videos):
            writer.append(video_id=f"v{number}", action="x", split="train", embeddings=frames)
    fitted = Preprocessor.fit(VideoSet(EmbeddingCache(path)), DataConfig(pca=20))
    reference = PCA(20).fit(np.concatenate([frames - frames.mean(0) for frames in videos]))
    np.testing.assert_allclose(np.abs(fitted.components.numpy() @ reference.components_.T), np.eye(20), atol=1e-3)
    assert fitted.scale == pytest.approx(
        np.sqrt(reference.singular_values_ @ reference.singular_values_ / 320), rel=1e-4
    )


def _grouped(path, scales, channels, *, still=False):
    """Write videos of two feature groups that are the same waves in other directions, at other scales."""
    rng = np.random.default_rng(0)
    groups = [FeatureGroup(f"g{i}", count) for i, count in enumerate(channels)]
    with EmbeddingCacheWriter(
        path, dataset="d", extractor="x", source="s", phase_names={}, dtype="float32", feature_groups=groups
    ) as writer:
        for number in range(6):
            parts = [rng.normal(size=(30, count)) * scale for count, scale in zip(channels, scales, strict=True)]
            if still:
                parts[1][:] = 3.0
            offset = rng.normal(size=sum(channels)) * 5
            values = np.concatenate(parts, axis=1) + offset
            writer.append(video_id=f"v{number}", action="a", split="train", embeddings=values)
    return VideoSet(EmbeddingCache(path))


def _energies(fitted, train, channels):
    """Return the energy of each group in what a preprocessor without PCA makes."""
    done = np.concatenate([fitted(train.read(i)) for i in range(len(train))])
    return np.array([part.var(axis=0).sum() for part in np.split(done, np.cumsum(channels)[:-1], axis=1)])


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize(("weights", "expected"), [([1, 1], [0.5, 0.5]), ([3, 1], [0.75, 0.25]), ([0, 2], [0.0, 1.0])])
def test_groups_get_their_share_of_the_energy_whatever_their_size(tmp_path, weights, expected, center):
    train = _grouped(tmp_path / "g.h5", (1e3, 1e-2), (2, 40))
    fitted = Preprocessor.fit(train, DataConfig(pca=None, group_weights=weights, center=center))
    np.testing.assert_allclose(_energies(fitted, train, (2, 40)), expected, rtol=1e-3, atol=1e-6)
    total = Preprocessor.fit(train, DataConfig(pca=None, group_weights=weights, scale="none", center=center))
    unscaled = np.concatenate([train.read(i) - (train.read(i).mean(0) if center else 0) for i in range(6)])
    assert _energies(total, train, (2, 40)).sum() == pytest.approx(unscaled.var(axis=0).sum(), rel=1e-3)


def test_the_scale_of_a_group_changes_nothing_after_pca(tmp_path):
    one = _grouped(tmp_path / "a.h5", (1.0, 1.0), (4, 6))
    other = _grouped(tmp_path / "b.h5", (1.0, 2.0**12), (4, 6))
    found = []
    for train in (one, other):
        fitted = Preprocessor.fit(train, DataConfig(pca=5))
        values = fitted(train.read(2))
        assert values.shape == (30, 5)
        found.append(values)
        batch = PackedBatch(
            frames=torch.from_numpy(np.concatenate([train.read(2), np.zeros((1, 10), np.float32)])),
            labels=torch.full((31,), -1, dtype=torch.int16),
            lengths=torch.tensor([30]),
            action=torch.zeros(1, dtype=torch.long),
            video_index=torch.zeros(1, dtype=torch.long),
            size=30,
        )
        np.testing.assert_allclose(fitted.padded(batch).embeddings[0].numpy(), values, atol=2e-4)
    np.testing.assert_allclose(found[0], found[1], atol=2e-3)


def test_groups_that_do_not_vary_and_wrong_weights_are_named(tmp_path):
    train = _grouped(tmp_path / "a.h5", (1.0, 1.0), (4, 6), still=True)
    with pytest.raises(UserError, match=r"feature group 'g1' does not vary.*data.groups=\[g0\]"):
        Preprocessor.fit(train, DataConfig())
    with pytest.raises(UserError, match="2 numbers, for g0, g1, but got"):
        Preprocessor.fit(train, DataConfig(group_weights=[1.0]))
    with pytest.raises(UserError, match=r"data\.group_weights"):
        DataConfig(group_weights=[0.0, 0.0])
    with pytest.raises(UserError, match=r"data\.groups"):
        DataConfig(groups=["a", "a"])
