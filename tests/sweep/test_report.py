"""What a sweep leaves: a table, a plot, the best configuration."""

import csv

import pytest

from tests.sweep.fake_fit import FakeFit, run_sweep, summary_of
from tests.sweep.sweep_files import LR, write_sweep
from tpl_lightning.config.loading import load_config


def test_a_sweep_leaves_a_table_a_plot_and_the_best_configuration(tmp_path, monkeypatch, capsys):
    fake = FakeFit(monkeypatch)
    path = write_sweep(tmp_path, {**LR, "model.hidden": {"values": [8, 16]}, "data.pca": {"value": None}})
    assert run_sweep(tmp_path, path, "count=6", "seed=3") == 0
    folder = tmp_path / "runs" / "sweep-s"
    lines = (folder / "sweep.md").read_text().splitlines()
    assert lines[0] == "Data: made by a test"
    rows = [line for line in lines if line.startswith("|")][2:]
    assert len(rows) == 6
    assert ["**" in row for row in rows] == [True] + [False] * 5
    with (folder / "sweep.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    best = max(table, key=lambda row: float(row["quality/score"]))
    assert summary_of(tmp_path)["best"]["trial"] == int(best["trial"])
    assert (folder / "sweep.png").stat().st_size > 5000
    chosen = load_config([str(folder / "best.yaml")])
    assert chosen.train.lr == pytest.approx(float(best["train.lr"]))
    assert (chosen.data.pca, chosen.seed, chosen.run) == (None, 3, load_config().run)
    last = capsys.readouterr().out.strip().splitlines()[-1]
    assert (
        last
        == f"RESULT quality/score={float(best['quality/score']):.4f} trial={best['trial']} config={folder}/best.yaml"
    )
    for config in fake.seen:
        assert (config.run.wandb, config.run.figures) == ("disabled", False)
    assert len({config.train.lr for config in fake.seen}) == 6
