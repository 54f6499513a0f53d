"""TPL+, TPL and its ablations, trained end to end: one pass over new videos, stored models, options."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.aligners.fitting import fit
from tests.conftest import write_cache
from tests.small_training import small_fit
from tpl_lightning.__main__ import main
from tpl_lightning.aligners.refined import RefinedAligner
from tpl_lightning.aligners.registry import load_aligner
from tpl_lightning.config.loading import load_config
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.errors import UserError
from tpl_lightning.evaluation.alignment import Alignment
from tpl_lightning.evaluation.scores import evaluate

ABLATIONS = sorted((Path(__file__).parents[2] / "experiments" / "ablations").glob("*.yaml"))
QUIET = ["data.pca=5", "run.progress=false", "run.figures=false", "model.hidden=8"]


def _fit(path, run_dir, *options):
    return fit(path, run_dir, *QUIET, *options)[:2]


@pytest.fixture(scope="module")
def one_pass(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plus")
    path = write_cache(folder / "c.h5", videos=24, strength=0.95)
    return path, folder, *_fit(path, folder, "refine=false")


def _warp_error(aligner, videos):
    return evaluate(aligner.align(videos), videos).overall["warp_error"]


def test_one_pass_is_far_ahead_of_linear_rescaling(one_pass, tmp_path):
    path, _, aligner, splits = one_pass
    linear, _ = _fit(path, tmp_path, "method=linear")
    assert _warp_error(aligner, splits.test) < 0.35 * _warp_error(linear, splits.test)
    assert not isinstance(aligner, RefinedAligner)


def test_the_checkpoint_holds_all_that_new_videos_need(one_pass):
    path, folder, aligner, splits = one_pass
    checkpoint = folder / "checkpoints" / "last.ckpt"
    again = load_aligner(checkpoint, load_config([f"data.cache={path}", *QUIET, "refine=false"]))
    found, expected = again.align(splits.test), aligner.align(splits.test)
    np.testing.assert_array_equal(found.prototype_position, expected.prototype_position)
    for action, labels in aligner.prototype_labels().items():
        np.testing.assert_array_equal(again.prototype_labels()[action], labels)
        assert again.prototypes()[action].shape == (len(labels), 5)
    assert "bank" not in torch.load(checkpoint, weights_only=True)


def test_batch_size_and_padding_do_not_change_a_warp(one_pass):
    _, _, aligner, splits = one_pass
    together = aligner.align(splits.all())
    for i in range(0, len(splits.all()), 5):
        alone = aligner.align(splits.all().select(np.array([i])))
        np.testing.assert_allclose(alone.position(0), together.position(i), atol=1e-4)


def test_nothing_is_learned_at_a_rate_of_0(tmp_path, one_pass):
    path, _, _, splits = one_pass
    aligner, _ = _fit(path, tmp_path, "refine=false", "train.lr=0", "train.max_epochs=6")
    weight = aligner.module.model.encoder.map.weight
    torch.testing.assert_close(weight, torch.eye(len(weight)), rtol=0, atol=0)
    linear, _ = _fit(path, tmp_path / "l", "method=linear")
    assert _warp_error(aligner, splits.test) < 0.5 * _warp_error(linear, splits.test)


OPTIONS = [
    "model.encoder=tcn",
    "model.latent_dim=2",
    "model.latent_norm=video",
    "model.projection=none",
    "model.derivative=0",
    "model.per_action=true",
    "model.padding=replicate",
    "train.random_warp=0.5",
    "loss.leave_one_out=false",
    "trainer.precision=bf16-mixed",
    "data.batch_size=4",
]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_trains_and_aligns(option, one_pass, tmp_path):
    path = one_pass[0]
    aligner, splits = _fit(path, tmp_path, "refine=false", "train.max_epochs=3", option)
    found = aligner.align(splits.all())
    for i in range(len(found)):
        assert np.isfinite(found.position(i)).all()
        assert (np.diff(found.position(i)) >= 0).all()
    for value in aligner.module.state_dict().values():
        assert torch.isfinite(value).all()


def test_the_paper_with_all_departures_but_the_aligner_trains(one_pass, tmp_path):
    path = one_pass[0]
    options = ["method=tpl", "model.per_action=true", "model.padding=replicate", "train.random_warp=0.5"]
    aligner, splits = _fit(path, tmp_path, *options, "loss.leave_one_out=true", "train.max_epochs=2")
    assert np.isfinite(aligner.align(splits.test).prototype_position).all()


def test_long_recordings_end_in_full_detail(tmp_path):
    path = write_cache(tmp_path / "c.h5", videos=8, frames=(200, 300), actions=("jump",))
    aligner, splits = _fit(path, tmp_path, "refine=false", "direct.detail=fine", "train.max_epochs=4")
    assert aligner.module.model.path.num_cells == 64
    found = aligner.align(splits.all())
    assert np.isfinite(found.prototype_position).all()
    again = load_aligner(tmp_path / "checkpoints" / "last.ckpt", aligner.config)
    np.testing.assert_array_equal(again.align(splits.all()).prototype_position, found.prototype_position)


def test_more_latent_channels_than_features_are_refused(tmp_path, one_pass):
    with pytest.raises(UserError, match=r"model\.latent_dim.* at most 5"):
        _fit(one_pass[0], tmp_path, "model.latent_dim=9")
    with pytest.raises(UserError, match=r"model\.projection.*model\.aligner=path"):
        load_config(["method=tpl", "model.projection=discriminant"])


def test_runs_of_the_former_matcher_say_to_fit_again(tmp_path):
    path = tmp_path / "checkpoints" / "last.ckpt"
    path.parent.mkdir()
    torch.save({"joint": {}, "matcher": {}, "hyper_parameters": {}}, path)
    for refine in ("true", "false"):
        with pytest.raises(UserError, match="fit again"):
            load_aligner(path, load_config([f"refine={refine}"]))


def test_training_is_diagnosed_and_logged(tmp_path):
    path = write_cache(tmp_path / "c.h5", videos=16, split=["train"] * 10 + ["val"] * 2 + ["test"] * 4)
    place = [f"data.cache={path}", f"run.dir={tmp_path}", "run.name=r"]
    assert main(["fit", *place, *QUIET, "train.max_epochs=4", "train.val_every=2"]) == 0
    log = (tmp_path / "r" / "metrics.csv").read_text().splitlines()[0].split(",")
    metrics = json.loads((tmp_path / "r" / "metrics.json").read_text())
    for name in ("train/loss", "train/icae", "train/reconstruction", "train/icae_weight", "val/plp", "quality/score"):
        assert name in log
    for name in ("icae", "icae_identity", "left_over", "clock"):
        for split in ("train", "val"):
            assert f"diagnosis/{name}_{split}" in log
            assert np.isfinite(metrics[f"diagnosis/{name}_{split}"])
    assert metrics["diagnosis/left_over_val"] < 0.5  # it sees timing


def _other_tempo(path):
    """Videos whose features run at a pace of their own, but whose phases begin at the same share of each."""
    rng = np.random.default_rng(0)
    waves = rng.normal(size=(4, 6))
    names = {"jump": ["begin", "middle", "end"]}
    with EmbeddingCacheWriter(path, dataset="tiny", extractor="waves", source="a test", phase_names=names) as writer:
        for number in range(16):
            time = np.linspace(0, 1, int(rng.integers(30, 50)))
            pace = time + 0.9 * rng.uniform(-1, 1) * time * (1 - time)
            signal = np.cos(np.pi * pace[:, None] * np.arange(1, 5)) @ waves
            writer.append(
                video_id=f"v{number}",
                action="jump",
                split="test" if number >= 12 else "train",
                embeddings=signal + 0.05 * rng.normal(size=signal.shape),
                labels=np.minimum((time * 3).astype(int), 2),
                fps=25.0,
            )
    return path


def test_labels_keep_videos_in_step_where_features_tell_another_tempo(tmp_path):
    path = _other_tempo(tmp_path / "c.h5")
    plp = {}
    for select in ("none", "auto"):
        aligner, splits = _fit(path, tmp_path / select, "refine=false", "train.max_epochs=6", f"select={select}")
        plp[select] = evaluate(aligner.align(splits.all()), splits.all()).overall["test/plp"]
    linear, _ = _fit(path, tmp_path / "linear", "method=linear")
    assert plp["auto"] == evaluate(linear.align(splits.all()), splits.all()).overall["test/plp"]
    assert plp["none"] < plp["auto"] - 0.05
    (note,) = aligner.notes()  # that it ignores timing now is meant
    assert "chose the prior on warps: linear rescaling" in note
    again = load_aligner(tmp_path / "auto" / "checkpoints" / "last.ckpt", aligner.config)
    found, expected = again.align(splits.test), aligner.align(splits.test)
    np.testing.assert_array_equal(found.prototype_position, expected.prototype_position)


def test_the_prior_grows_where_tempos_hardly_differ(tmp_path):
    own, in_step = (write_cache(tmp_path / f"{s}.h5", videos=24, strength=s) for s in (0.9, 0.02))
    priors = [
        float(
            _fit(path, tmp_path / path.stem, "refine=false", "select=none", "train.max_epochs=3")[0].module.model.prior
        )
        for path in (own, in_step)
    ]
    assert priors[0] == 1
    assert priors[1] > 10


def _run(tmp_path, cache_path, name, *options):
    runs = tmp_path / "runs"
    assert small_fit(cache_path, runs, name, "train.max_epochs=2", "train.val_every=2", *options) == 0
    return runs / name


def test_there_are_five_ablations():
    names = {path.stem for path in ABLATIONS}
    assert names == {"baseline", "no_bottleneck", "encoder_only", "decoder", "median_length"}


@pytest.mark.parametrize("path", ABLATIONS, ids=lambda p: p.stem)
def test_ablations_run_and_differ_where_they_should(tmp_path, cache_path, path):
    folder = _run(tmp_path, cache_path, "x", str(path.parents[1] / "genai.yaml"), str(path))
    stored = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    state, alignment = stored["state_dict"], Alignment.load(folder / "alignment.h5")
    assert all(torch.isfinite(v).all() for v in state.values() if v.is_floating_point())
    train = alignment.split == "train"
    lengths = alignment.lengths[train & (alignment.action == "jump")]
    longest = path.stem in {"baseline", "encoder_only", "decoder"}
    expected = lengths.max() if longest else int(np.median(lengths))
    assert (alignment.prototype_length[alignment.action == "jump"] == expected).all()
    assert state["latent_prototypes"].shape[-1] == (4 if path.stem in {"baseline", "no_bottleneck"} else 1)
    assert any("decoder" in key for key in state) == (path.stem != "baseline")
    rows = (folder / "metrics.csv").read_text()
    assert ("train/reconstruction" in rows) == (path.stem != "baseline")


def test_without_reconstruction_the_decoder_learns_nothing(tmp_path, cache_path):
    path = next(p for p in ABLATIONS if p.stem == "encoder_only")
    options = [str(path), "train.weight_decay=0"]
    weights = []
    for epochs in (1, 2):
        folder = _run(tmp_path, cache_path, f"e{epochs}", *options, f"train.max_epochs={epochs}")
        weights.append(torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])
    same = {k for k, v in weights[0].items() if k.startswith("model.") and torch.equal(v, weights[1][k])}
    assert {k for k in weights[0] if k.startswith("model.decoder")} <= same
    assert not any(k.startswith("model.aligner.head") for k in same)
