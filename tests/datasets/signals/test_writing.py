"""Recordings as they are in the cache: an even rate, one scale, labels by name."""

import numpy as np
import pytest

from tests.datasets.signals.tables import import_tables, video, write_pair, write_table
from tests.signal_factory import waves


def test_channels_are_brought_to_one_scale_and_nothing_else(tmp_path):
    write_pair(tmp_path / "set")
    cache = import_tables(tmp_path / "set", fps=25)
    assert (cache.video_id.tolist(), cache.lengths.tolist(), cache.num_channels) == (["one", "two"], [30, 40], 3)
    assert (cache.action.tolist(), cache.extractor, cache.fps.tolist()) == (["jump"] * 2, "csv", [25, 25])
    assert cache.dtype == np.float32
    scale = np.sqrt((waves(30, 0.3).var(axis=0) + waves(40, 0.3).var(axis=0)) / 2)
    np.testing.assert_allclose(video(cache, "one"), waves(30, 0.3) / scale, atol=1e-4)


def test_uneven_times_are_resampled(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("one", "two"):
        times = 7.0 + np.sort(np.concatenate([[0, 2], np.arange(1, 100) / 50 + rng.uniform(-0.009, 0.009, 99)]))
        write_table(
            tmp_path / "set" / f"{name}.csv", np.stack([np.sin(times), times], axis=1), times=times, header=("s", "t2")
        )
    cache = import_tables(tmp_path / "set", fps=20)
    assert (cache.lengths.tolist(), cache.fps.tolist()) == ([41, 41], [20, 20])
    assert cache.action.tolist() == ["set", "set"]
    ramp = video(cache, "one")[:, 1]
    np.testing.assert_allclose(np.diff(ramp), np.diff(ramp).mean(), rtol=1e-3)
    assert import_tables(tmp_path / "set").fps.tolist() == pytest.approx([50, 50], rel=0.1)


def test_labels_by_name(tmp_path):
    write_pair(tmp_path / "set", times=None)
    (tmp_path / "set" / "annotations.csv").write_text(
        "video_id,phase,start_frame,end_frame\none,up,0,12\none,down,12,30\n"
    )
    cache = import_tables(tmp_path / "set", fps=10)
    assert cache.phase_names == {"jump": ["up", "down"]}
    np.testing.assert_array_equal(cache.labels(0), [0] * 12 + [1] * 18)
    assert cache.video_id.tolist() == ["one", "two"]
