"""Refinement of any aligner: better than one pass, stored beside it, and used where all has moved."""

import shutil

import numpy as np
import pytest

from tests.aligners.fitting import fit
from tests.conftest import write_cache
from tpl_lightning.__main__ import main
from tpl_lightning.aligners.refined import RefinedAligner
from tpl_lightning.aligners.registry import build_aligner, load_aligner
from tpl_lightning.config.loading import load_config
from tpl_lightning.data import EmbeddingCache, VideoSet
from tpl_lightning.errors import UserError
from tpl_lightning.evaluation.scores import evaluate

SMALL = ["model.hidden=8", "model.aligner_filters=2", "model.aligner_depth=3", "data.pca=5", "run.progress=false"]


def _warp_error(aligner, videos):
    return evaluate(aligner.align(videos), videos).overall["warp_error"]


def test_refinement_starts_from_the_network_and_is_stored(tmp_path, make_cache):
    path = make_cache(tmp_path / "c.h5", videos=16)
    aligner, splits, config = fit(path, tmp_path, "method=tpl", "refine=true", "train.max_epochs=2", *SMALL)
    assert (tmp_path / "checkpoints" / "refinement.ckpt").is_file()
    videos = splits.all()
    assert _warp_error(aligner, videos) < 0.5 * _warp_error(aligner.base, videos)
    again = load_aligner(tmp_path / "checkpoints" / "last.ckpt", config)
    np.testing.assert_allclose(
        again.align(videos).prototype_position, aligner.align(videos).prototype_position, atol=1e-5
    )


def test_it_is_as_good_as_the_direct_fit(tmp_path):
    path = write_cache(tmp_path / "c.h5", videos=24, strength=0.95)
    refined, splits, _ = fit(path, tmp_path / "plus", *SMALL)
    direct, _, _ = fit(path, tmp_path / "direct", "method=direct", *SMALL)
    assert isinstance(refined, RefinedAligner)
    assert _warp_error(refined, splits.test) < 1.1 * _warp_error(direct, splits.test) + 1e-3


@pytest.mark.parametrize("method", ["linear", "pad"])
def test_refinement_wraps_aligners_that_keep_no_checkpoint(tmp_path, make_cache, method):
    videos = VideoSet(EmbeddingCache(make_cache(tmp_path / "c.h5", videos=8)))
    config = load_config([f"method={method}", "refine=true", "data.pca=4"])
    aligner = build_aligner(config, tmp_path)
    aligner.fit(videos)
    again = load_aligner(tmp_path / "checkpoints" / "last.ckpt", config)
    np.testing.assert_array_equal(again.align(videos).prototype_position, aligner.align(videos).prototype_position)
    assert again.base.prototype_length == aligner.base.prototype_length


@pytest.mark.parametrize("method", ["linear", "pad"])
def test_a_refined_row_can_be_tested_also_where_all_has_moved(tmp_path, cache_path, method, capsys, monkeypatch):
    place = [f"data.cache={cache_path}", f"run.dir={tmp_path / 'runs'}", "run.figures=false", "run.progress=false"]
    assert main(["fit", *place, f"method={method}", "refine=true", "run.name=r", "direct.device=cuda"]) == 0
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.move(tmp_path / "runs", moved / "runs")
    shutil.move(cache_path, moved / cache_path.name)
    monkeypatch.chdir(moved)
    capsys.readouterr()
    assert main(["test", str(moved / "runs" / "r"), "direct.device=cpu", f"run.dir={moved / 'tests'}"]) == 0
    assert "RESULT test/plp=" in capsys.readouterr().out


def test_what_it_stores_and_says_is_that_of_both(tmp_path, make_cache):
    path = make_cache(tmp_path / "c.h5", videos=16)
    aligner, splits, _ = fit(path, tmp_path / "r", "method=linear", "refine=true", "direct.labels=2", *SMALL)
    labels = evaluate(aligner.align(splits.train), splits.train).prototype_labels
    for action, stored in aligner.prototype_labels().items():
        np.testing.assert_array_equal(stored, labels[action])
        assert aligner.prototypes()[action].shape == (len(stored), 5)
    assert aligner.features().num_channels == 5
    assert aligner.diagnosis() == aligner.base.diagnosis() == {}
    assert len([note for note in aligner.notes() if "had a say" in note]) == 1


def test_without_its_checkpoint_it_cannot_be_loaded(tmp_path, cache_path):
    _, _, config = fit(cache_path, tmp_path, "method=linear", "refine=true", "data.pca=4")
    (tmp_path / "checkpoints" / "refinement.ckpt").unlink()
    with pytest.raises(UserError, match=r"refinement\.ckpt: no checkpoint there"):
        load_aligner(tmp_path / "checkpoints" / "last.ckpt", config)
