"""A video of a run, its clock, and those that cannot be read."""

from pathlib import Path

import numpy as np
import pytest

from tests.conftest import write_cache
from tpl_lightning.data import EmbeddingCache
from tpl_lightning.errors import UserError
from tpl_lightning.runs.run_video import RunVideo, Unreadable, clock_of
from tpl_lightning.video import VideoClock


def test_the_clock_of_a_cached_video_is_that_of_its_frames(tmp_path):
    cache = EmbeddingCache(write_cache(tmp_path / "c.h5", frames=(8, 14)))
    clock = clock_of(cache, 1)
    assert (clock.num_frames, clock.fps) == (cache.lengths[1], cache.fps[1])
    assert clock.is_even


def test_a_video_is_a_warp_with_idle_ends():
    position, source = np.array([0.0, 0.0, 0.5, 1.0, 1.0]), np.linspace(0.25, 0.75, 9)
    video = RunVideo(position, source, "v", "jump", "train", VideoClock.even(5, 10.0))
    assert (video.num_frames, video.fps, video.acting) == (5, 10.0, (1, 3))
    assert video.acts(np.arange(5)).tolist() == [False, True, True, True, False]
    assert float(video.frame(0.5)) == 2
    assert float(video.prototype_time(2)) == 0.5


def test_unreadable_videos_end_all_or_are_told_of_together():
    def read(unreadable):
        for name in ("a", "b", "c"):
            with unreadable.reading(Path(name)):
                if name != "b":
                    raise UserError(f"{name}: torn")
        unreadable.report(3)

    with pytest.raises(UserError, match="a: torn"):
        read(Unreadable())
    told = []
    collected = Unreadable(lambda problems, total: told.append((dict(problems), total)))
    read(collected)
    assert told == [({Path("a"): "a: torn", Path("c"): "c: torn"}, 3)]
    collected.report(3)  # nothing is said twice
    assert len(told) == 1
