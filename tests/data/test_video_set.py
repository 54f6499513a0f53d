"""Blocks of videos against each video read on its own."""

import h5py
import numpy as np
import pytest

from tests.conftest import write_cache
from tpl_lightning.data.cache.arrays import ArrayCache
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.errors import UserError


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_a_block_is_its_videos_one_behind_the_other(tmp_path, dtype):
    rng = np.random.default_rng(0)
    path = tmp_path / "c.h5"
    about = {"dataset": "d", "extractor": "e", "source": "s", "phase_names": {}}
    with EmbeddingCacheWriter(path, **about, dtype=dtype) as writer:
        for number in range(6):
            frames = rng.normal(size=(20 + number, 7))
            writer.append(video_id=f"v{number}", action="x", split="train", embeddings=frames)
    videos = VideoSet(EmbeddingCache(path)).select(np.array([5, 1, 3, 0]))
    for positions in (np.array([2, 0, 3]), np.array([1]), np.array([3, 1])):
        block = videos.read_block(positions).numpy()
        assert block.dtype == np.float32
        np.testing.assert_array_equal(block, np.concatenate([videos.read(i) for i in positions.tolist()]))


def test_blocks_hold_about_so_many_frames_and_every_video_once(tmp_path):
    videos = VideoSet(EmbeddingCache(write_cache(tmp_path / "c.h5", videos=9)))
    positions = np.array([6, 0, 1, 2, 8, 3, 5, 4])
    groups = videos.in_blocks(positions, num_frames=100)
    np.testing.assert_array_equal(np.concatenate(groups), positions)
    assert len(groups) > 1
    assert all(videos.lengths[group[1:]].sum() < 100 for group in groups)
    assert videos.in_blocks(positions[:0]) == []


def test_a_damaged_video_of_a_block_is_named(tmp_path):
    path = write_cache(tmp_path / "c.h5", videos=6)
    start = EmbeddingCache(path).offsets[3]
    with h5py.File(path, "r+") as file:
        file["embeddings"][start + 2, 1] = np.nan
    videos = VideoSet(EmbeddingCache(path))
    with pytest.raises(UserError, match=str(videos.video_id[3])):
        videos.read_block(np.array([2, 3, 4]))


def test_actions_are_numbered_in_the_order_of_their_names():
    arrays = ArrayCache([np.eye(3)] * 4, action=["turn", "jump", "turn", "bow"])
    videos = VideoSet(arrays)
    assert videos.actions == ["bow", "jump", "turn"]
    assert videos.action_index.tolist() == [2, 1, 2, 0]
    assert videos.select(np.array([0, 3])).action_index.tolist() == [1, 0]
