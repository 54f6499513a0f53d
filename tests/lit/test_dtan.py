"""DTAN: the terms of its objectives, and a training of each from the command line."""

import json

import pytest
import torch

from tests.small_training import SMALL, small_fit
from tpl_lightning.__main__ import main
from tpl_lightning.config.loading import load_config
from tpl_lightning.config.tree import config_to_dict
from tpl_lightning.data.loading.batch import Batch
from tpl_lightning.functional.warps.prior import prior_energy
from tpl_lightning.lit.dtan import DTANModule


@pytest.mark.parametrize("objective", ["wcss", "wcss_prior", "icae"])
def test_each_objective_trains_and_can_be_tested(tmp_path, cache_path, objective, capsys):
    options = ["method=dtan", f"dtan.objective={objective}", "train.lr=0.02", "train.max_epochs=12"]
    assert small_fit(cache_path, tmp_path / "runs", "d", "train.val_every=2", *options) == 0
    folder = tmp_path / "runs" / "d"
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
        config = load_config([*SMALL, "method=dtan", "dtan.objective=wcss_prior", f"dtan.prior={prior}"])
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
