"""Frames read in blocks, kept or read again, against each video preprocessed on its own."""

from functools import partialmethod

import numpy as np
import torch

from tpl_lightning.aligners.frames import FrameReader
from tpl_lightning.config.runs import DataConfig
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.data.loading.preprocessing import Preprocessor
from tpl_lightning.data.video_set import VideoSet
from tpl_lightning.functional.resampling import resample_to_size


def test_frames_are_the_same_whether_kept_or_read_again(tmp_path, make_cache, monkeypatch):
    monkeypatch.setattr(VideoSet, "in_blocks", partialmethod(VideoSet.in_blocks, num_frames=70))  # two videos or three
    videos = VideoSet(EmbeddingCache(make_cache(tmp_path / "c.h5", videos=9)))
    preprocessor = Preprocessor.fit(videos, DataConfig(pca=3))
    alone = [torch.from_numpy(preprocessor(videos.read(i))) for i in range(9)]
    size = alone[0].nbytes
    for kept in (0, 3 * size, 100 * size):
        reader = FrameReader(preprocessor, kept)
        for positions in (np.array([4, 1, 8]), np.arange(9), np.array([2, 4])):
            for i, found in zip(positions.tolist(), reader(videos, positions), strict=True):
                torch.testing.assert_close(found, alone[i], atol=2e-6, rtol=0)
        on_grid = reader.on_grid(videos, 16)
        for i, own in enumerate(alone):
            expected = resample_to_size(own, torch.tensor([len(own)]), 16)[0]
            torch.testing.assert_close(on_grid[i], expected, atol=2e-6, rtol=0)


def test_what_is_kept_is_not_read_again(tmp_path, make_cache, monkeypatch):
    videos = VideoSet(EmbeddingCache(make_cache(tmp_path / "c.h5", videos=6)))
    reader = FrameReader(Preprocessor.fit(videos, DataConfig(pca=3)), most=2**20)
    first = reader.on_grid(videos, 16)
    monkeypatch.setattr(VideoSet, "read_block", None)
    assert torch.equal(reader.on_grid(videos, 16), first)
    some = videos.select(np.array([5, 2]))  # the same videos, at other positions
    assert torch.equal(reader.on_grid(some, 16), first[[5, 2]])
