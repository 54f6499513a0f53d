"""Shards of all processes become one cache."""

import subprocess
import sys

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from tests.features.small_runs import Counting, run
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.errors import UserError
from tpl_lightning.features import merge_shards
from tpl_lightning.features.extractors import make_extractor

pytest.importorskip("av")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_processes_share_the_work_and_merge_without_loss(folder, tmp_path, monkeypatch, order):
    out, seen = tmp_path / "x.h5", []
    for rank in order:
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "3")
        made = run(folder, out, counting := Counting())
        seen.append(counting.seen)
    assert sorted(seen) == [2, 2, 3]
    if order[-1] == 0:
        assert made == out
    else:  # the first process could not know when the others would be done
        assert made is None
        with pytest.raises(UserError, match="shards: expected"):
            merge_shards(tmp_path / "no x.h5")
        merge_shards(out)
    monkeypatch.delenv("RANK")
    monkeypatch.delenv("WORLD_SIZE")
    assert EmbeddingCache(out).fingerprint() == EmbeddingCache(run(folder, tmp_path / "y.h5")).fingerprint()


def test_merging_too_early_is_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    run(folder, tmp_path / "x.h5")
    with pytest.raises(UserError, match="4 of 7 videos are not embedded yet"):
        merge_shards(tmp_path / "x.h5")
    monkeypatch.setenv("RANK", "2")
    with pytest.raises(UserError, match="RANK=2 WORLD_SIZE=2"):
        run(folder, tmp_path / "x.h5")


def test_shards_of_a_network_are_merged_without_its_weights(folder, tmp_path, dinov2, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        run(folder, tmp_path / "x.h5", make_extractor(dinov2))
    monkeypatch.setattr("tpl_lightning.features.extractors.make_extractor", None)
    cache = EmbeddingCache(merge_shards(tmp_path / "x.h5"))
    assert (cache.extractor, cache.extractor_state()[1]["model"]) == ("tiny-dinov2", dinov2)


@pytest.mark.slow
def test_torchrun(folder, tmp_path):
    options = [f"out={tmp_path / 'x.h5'}", "channels=4", "num_workers=0"]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m"]
    subprocess.run([*command, "tpl_lightning", "cache", "embed", str(folder), *options], check=True, timeout=120)
    # torchrun gives each process one thread, and components found by several are rounded otherwise.
    with threadpool_limits(1):
        expected = EmbeddingCache(run(folder, tmp_path / "y.h5"))
    made = EmbeddingCache(tmp_path / "x.h5")
    assert made.video_id.tolist() == expected.video_id.tolist()
    for index in range(len(expected)):
        np.testing.assert_array_equal(made.read(index), expected.read(index))
