"""method=dtan and the ablations from the command line: objectives, stored models, options that change the network."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tpl_lightning.__main__ import main
from tpl_lightning.config.loading import load_config
from tpl_lightning.config.tree import config_to_dict
from tpl_lightning.data.loading.batch import Batch
from tpl_lightning.evaluation.alignment import Alignment
from tpl_lightning.functional.warps.prior import prior_energy
from tpl_lightning.lit.dtan import DTANModule

ABLATIONS = sorted((Path(__file__).parents[2] / "experiments" / "ablations").glob("*.yaml"))
TINY = [
    "train.max_epochs=2",
    "train.val_every=2",
    "model.hidden=8",
    "model.aligner_filters=2",
    "model.aligner_depth=3",
    "data.pca=4",
    "run.progress=false",
    "run.figures=false",
]


def _fit(tmp_path, cache_path, name, *options):
    runs = tmp_path / "runs"
    assert main(["fit", f"data.cache={cache_path}", f"run.dir={runs}", f"run.name={name}", *TINY, *options]) == 0
    return runs / name


@pytest.mark.parametrize("objective", ["wcss", "wcss_prior", "icae"])
def test_each_objective_trains_and_can_be_tested(tmp_path, cache_path, objective, capsys):
    options = ["method=dtan", f"dtan.objective={objective}", "train.lr=0.02", "train.max_epochs=12"]
    folder = _fit(tmp_path, cache_path, "d", *options)
    log = (folder / "metrics.csv").read_text().splitlines()
    columns = log[0].split(",")
    terms = {"wcss": {"wcss"}, "wcss_prior": {"wcss", "prior"}, "icae": {"icae"}}[objective]
    assert {c.removeprefix("train/") for c in columns if c.startswith("train/")} == {*terms, "loss", "cbc"}
    losses = [float(row.split(",")[columns.index("train/loss")] or "nan") for row in log[1:]]
    losses = [x for x in losses if x == x]
    assert min(losses[-3:]) < 0.9 * losses[0]
    assert main(["test", str(folder), f"run.dir={tmp_path / 'runs'}"]) == 0
    first = json.loads((folder / "metrics.json").read_text())
    again = json.loads((tmp_path / "runs" / "d-test-tiny" / "metrics.json").read_text())
    assert again["test/plp"] == pytest.approx(first["test/plp"])
    capsys.readouterr()
    assert main(["test", str(folder), "dtan.objective=wcss", "dtan.prior=5", f"run.dir={tmp_path / 'runs'}"]) == 2
    assert "dtan" in capsys.readouterr().err


def test_terms_of_the_objective():
    metadata = {"actions": ["a"], "prototype_lengths": [8], "phase_names": {}, "num_channels": 3}
    torch.manual_seed(0)
    batch = Batch(
        embeddings=torch.randn(2, 9, 3),
        lengths=torch.tensor([9, 7]),
        labels=torch.full((2, 9), -1),
        action=torch.tensor([0, 0]),
        video_index=torch.arange(2),
    )
    terms = {}
    for prior in (0.5, 1.0):
        config = load_config([*TINY, "method=dtan", "dtan.objective=wcss_prior", f"dtan.prior={prior}"])
        torch.manual_seed(0)
        module = DTANModule(config_to_dict(config), metadata)
        torch.nn.init.normal_(module.model.aligner.head.weight)
        out = module(batch)
        terms[prior] = module.objective(batch, out)
        expected = prior * prior_energy(out.theta, num_cells=[16]).mean()
        torch.testing.assert_close(terms[prior]["prior"], expected)
    torch.testing.assert_close(terms[0.5]["wcss"], terms[1.0]["wcss"])
    first, second = out.aligned_latent
    torch.testing.assert_close(terms[1.0]["wcss"], ((first - second) / 2).square().sum(-1).mean())


def test_there_are_five_ablations():
    names = {path.stem for path in ABLATIONS}
    assert names == {"baseline", "no_bottleneck", "encoder_only", "decoder", "median_length"}


@pytest.mark.parametrize("path", ABLATIONS, ids=lambda p: p.stem)
def test_ablations_run_and_differ_where_they_should(tmp_path, cache_path, path):
    folder = _fit(tmp_path, cache_path, "x", str(path.parents[1] / "genai.yaml"), str(path))
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
        folder = _fit(tmp_path, cache_path, f"e{epochs}", *options, f"train.max_epochs={epochs}")
        weights.append(torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"])
    same = {k for k, v in weights[0].items() if k.startswith("model.") and torch.equal(v, weights[1][k])}
    assert {k for k in weights[0] if k.startswith("model.decoder")} <= same
    assert not any(k.startswith("model.aligner.head") for k in same)
