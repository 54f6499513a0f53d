"""Training videos of a joint fit: which are enough, their features, warps to start from, scores of held-out labels."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tpl_lightning.aligners import training_videos
from tpl_lightning.aligners.by_length import LengthAligner
from tpl_lightning.aligners.frames import FrameReader
from tpl_lightning.aligners.metadata import dataset_metadata
from tpl_lightning.aligners.prior_choice import held_out_scores
from tpl_lightning.aligners.training_videos import (
    FINE_GRID,
    GRID_LIMITS,
    TrainingVideos,
    action_codes,
    enough_videos,
    warped_times,
)
from tpl_lightning.config.loading import load_config
from tpl_lightning.data import ArrayCache, EmbeddingCache, VideoSet
from tpl_lightning.data.loading.preprocessing import Preprocessor
from tpl_lightning.functional.resampling import resample_to_size
from tpl_lightning.functional.warps import prototype_times, video_times
from tpl_lightning.functional.warps.cpab import cpab_warp
from tpl_lightning.groupwise import FINE_CELLS


class _Squares(LengthAligner):
    """Warps every video by the square of time."""

    def fit(self, train, val=None):
        self.prototype_length = dict.fromkeys(train.actions, 30)

    def positions(self, length, prototype_length):
        return np.linspace(0, 1, length) ** 2, np.linspace(0, 1, prototype_length) ** 0.5


def _training(path, *options, base=None):
    config = load_config([f"data.cache={path}", "data.pca=4", "direct.device=cpu", *options])
    videos = VideoSet(EmbeddingCache(path))
    metadata = dataset_metadata(videos, 4)
    return TrainingVideos(videos, FrameReader(Preprocessor.fit(videos, config.data)), config, metadata, base)


def test_actions_are_numbered_as_in_the_training_set(cache):
    videos = VideoSet(cache)
    codes = action_codes(videos, {"actions": ["hop", "jump", "turn"]})
    assert codes.tolist() == [1 if action == "jump" else 2 for action in videos.action]


@pytest.mark.parametrize(("most", "chosen"), [(100, list(range(9))), (4, [0, 6, 7, 8]), (6, [0, 3, 6, 7, 8])])
def test_enough_videos_are_as_many_of_each_action_evenly_spread(most, chosen):
    videos = VideoSet(ArrayCache([np.eye(3)] * 9, action=["jump"] * 7 + ["turn"] * 2))
    found = enough_videos(videos, most)
    assert found.indices.tolist() == chosen


@pytest.mark.parametrize("way", [video_times, prototype_times])
def test_times_are_warped_as_those_of_each_video_alone(way):
    sizes = np.random.default_rng(0).integers(2, 60, 150)  # more than are warped in one call
    theta = torch.randn(150, 15, generator=torch.Generator().manual_seed(0))
    found = warped_times(way, theta, sizes, num_cells=16)
    sign = 1 if way is video_times else -1
    for i in range(0, 150, 7):
        expected = cpab_warp(sign * theta[i : i + 1], torch.linspace(0, 1, int(sizes[i])))[0]
        np.testing.assert_allclose(found[i], expected.numpy(), atol=1e-5)


def test_features_are_those_of_each_video_on_the_grid(cache_path):
    training = _training(cache_path)
    found = training.features(50)
    preprocessor = training.frames.preprocessor
    for i in range(8):
        own = torch.from_numpy(preprocessor(training.videos.read(i)))
        torch.testing.assert_close(found[i], resample_to_size(own, torch.tensor([len(own)]), 50)[0], atol=1e-5, rtol=0)
    assert training.num_actions == 2
    assert training.action.tolist() == [0, 1] * 4


@pytest.mark.parametrize(
    ("lengths", "points"), [([30, 20], GRID_LIMITS[0]), ([30, 140], 140), ([900, 2], GRID_LIMITS[1])]
)
def test_the_grid_is_as_long_as_prototypes_within_limits(cache_path, lengths, points):
    training = _training(cache_path)
    training.metadata["prototype_lengths"] = lengths
    assert training.grid_size(fine=False) == points
    assert training.grid_size(fine=True) == FINE_GRID


def test_a_part_is_the_first_videos_of_the_first_actions(cache_path):
    part = _training(cache_path).subset(actions=1, each=3)
    assert part.videos.video_id.tolist() == ["jump_0", "jump_2", "jump_4"]
    assert part.action.tolist() == [0, 0, 0]
    assert part.features(20).shape == (3, 20, 4)


def test_warps_are_fitted_as_configured(cache_path):
    training = _training(cache_path, "direct.smoothness=0.3", "warp.num_cells=[4,8]")
    coarse, fine = training.options(ends=True), training.options(fine=True)
    assert (coarse.smoothness, coarse.num_cells, coarse.ends) == (0.3, 8, True)
    assert (fine.num_cells, fine.ends) == (FINE_CELLS, False)
    assert fine.smoothness < 0.3


@pytest.mark.parametrize("ends", [False, True])
def test_the_fit_starts_from_the_warps_of_the_base(cache_path, monkeypatch, ends):
    monkeypatch.setattr(training_videos, "JointStart", SimpleNamespace(find=lambda *_, **given: given))
    base = _Squares(load_config([]), None)
    alone, after = _training(cache_path), _training(cache_path, base=base)
    base.fit(after.videos)
    options = after.options(ends=ends)
    assert alone.start(alone.features(128), options)["theta"] is None
    given = after.start(after.features(128), options)
    assert (given["options"], given["num_actions"]) == (options, 2)
    grid = torch.linspace(0, 1, 128)
    found = prototype_times(given["theta"], grid, num_cells=16)
    torch.testing.assert_close(found, (grid**2).expand(8, -1), atol=0.01, rtol=0)
    assert given["theta"].shape == (8, 17 if ends else 15)


def test_held_out_scores_are_those_of_the_warped_labels(cache_path):
    training = _training(cache_path)
    theta = 0.5 * torch.randn(8, 15, generator=torch.Generator().manual_seed(1))
    found = training.held_out_scores(theta, training.options())
    positions, sources = [], []
    for i, n in enumerate(training.videos.lengths.tolist()):
        points = training.metadata["prototype_lengths"][i % 2]
        positions.append(cpab_warp(-theta[i : i + 1], torch.linspace(0, 1, n))[0].numpy())
        sources.append(cpab_warp(theta[i : i + 1], torch.linspace(0, 1, points))[0].numpy())
    np.testing.assert_allclose(found, held_out_scores(positions, sources, training.videos), atol=1e-9)
    assert 0.3 < found.mean() < 1
