"""A sweep run here: drawn, remembered, and gone on with."""

import sys

import optuna
import pytest

from tests.sweep.fake_fit import FakeFit, run_sweep, summary_of
from tests.sweep.sweep_files import LR, write_sweep
from tpl_lightning.sweep import study, trial
from tpl_lightning.sweep.trial import TrialFailed


def test_a_sweep_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch, capsys):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    first = FakeFit(monkeypatch)
    assert run_sweep(whole, write_sweep(whole), "count=5") == 0
    second = FakeFit(monkeypatch, stop=[2])
    assert run_sweep(parts, write_sweep(parts), "count=5") == 130
    assert run_sweep(parts, parts / "s.yaml", "count=5") == 0
    # Trial 2 was killed, so its values are tried once more; what follows is what would have followed.
    tried = [config.train.lr for config in second.seen]
    assert tried[2] == tried[3]
    assert [*tried[:2], *tried[3:]] == [config.train.lr for config in first.seen]
    assert [row["trial"] for row in summary_of(parts)["trials"]] == [0, 1, 3, 4, 5]
    calls = second.calls
    assert run_sweep(parts, parts / "s.yaml", "count=5") == 0  # all there: nothing runs
    assert second.calls == calls
    assert run_sweep(parts, parts / "s.yaml", "count=5", "train.max_epochs=7") == 2
    assert "other overrides" in capsys.readouterr().err


def test_a_trial_whose_sweep_was_shot_runs_again(tmp_path, monkeypatch):
    fake = FakeFit(monkeypatch, kill=[1])
    path = write_sweep(tmp_path)
    assert run_sweep(tmp_path, path, "count=2") == 0
    assert [row["outcome"] for row in summary_of(tmp_path)["trials"]] == ["done", "killed"]
    folder = tmp_path / "runs" / "sweep-s"
    # What a SIGKILL leaves: a trial that has begun.
    left = optuna.load_study(study_name="sweep-s", storage=f"sqlite:///{folder / 'study.db'}").ask()
    value = left.suggest_float("train.lr", 1e-4, 1e-1, log=True)
    assert run_sweep(tmp_path, path, "count=3") == 0
    assert [row["outcome"] for row in summary_of(tmp_path)["trials"]] == ["done"] * 3
    rates = [config.train.lr for config in fake.seen]
    assert rates[2] == rates[1]
    assert rates[3] == pytest.approx(value, rel=1e-12)


def test_early_stopping_saves_steps(tmp_path, monkeypatch):
    FakeFit(monkeypatch)
    path = write_sweep(tmp_path, early_terminate={"type": "hyperband", "min_iter": 1, "eta": 2}, method="bayes")
    assert run_sweep(tmp_path, path, "count=12") == 0
    rows = summary_of(tmp_path)["trials"]
    outcomes = [row["outcome"] for row in rows]
    assert outcomes[0] == "done"
    assert outcomes.count("stopped early") >= 4
    best = max(row["quality/score"] for row in rows if row["outcome"] == "done")
    assert all(row["quality/score"] < best for row in rows if row["outcome"] == "stopped early")


def test_a_grid_is_walked_once_also_where_a_trial_was_killed(tmp_path, monkeypatch):
    fake = FakeFit(monkeypatch, stop=[5])
    parameters = {"train.lr": {"values": [0.01, 0.05]}, "seed": {"min": 1, "max": 3}}
    path = write_sweep(tmp_path, parameters, method="grid")
    assert run_sweep(tmp_path, path, "count=50") == 130
    assert run_sweep(tmp_path, path, "count=50") == 0
    rows = summary_of(tmp_path)["trials"]
    tried = sorted((row["parameters"]["train.lr"], row["parameters"]["seed"]) for row in rows)
    assert tried == [(rate, seed) for rate in (0.01, 0.05) for seed in (1, 2, 3)]
    assert fake.calls == 7
    assert summary_of(tmp_path)["best"]["parameters"]["train.lr"] == 0.05


def test_failed_trials_stand_in_the_table_and_three_from_the_start_end_it(tmp_path, monkeypatch, capsys):
    FakeFit(monkeypatch, fail=[1])
    path = write_sweep(tmp_path)
    assert run_sweep(tmp_path, path, "count=3") == 0
    assert "failed (it broke)" in (tmp_path / "runs" / "sweep-s" / "sweep.md").read_text()
    fake = FakeFit(monkeypatch, fail=range(9))
    assert run_sweep(tmp_path, path, "count=9", "run.name=other") == 2
    assert "it broke" in capsys.readouterr().err
    assert fake.calls == 3


def test_a_parameter_on_the_command_line_is_not_varied(tmp_path, monkeypatch):
    fake = FakeFit(monkeypatch)
    path = write_sweep(tmp_path, {**LR, "seed": {"min": 0, "max": 1000}}, run_cap=2)
    assert run_sweep(tmp_path, path, "train.lr=0.03", "run.wandb=offline") == 0
    assert [config.train.lr for config in fake.seen] == [0.03, 0.03]
    assert [config.run.wandb for config in fake.seen] == ["offline"] * 2
    assert len({config.seed for config in fake.seen}) == 2


@pytest.mark.parametrize("written", ["--train.lr=0.02", "train={lr: 0.02}", "train[lr]=0.02"])
def test_a_value_on_the_line_is_used_and_not_reported_as_varied(tmp_path, monkeypatch, written):
    fake = FakeFit(monkeypatch)
    path = write_sweep(tmp_path, {**LR, "model.hidden": {"values": [8, 16]}})
    assert run_sweep(tmp_path, path, "--count=2", written) == 0
    assert [config.train.lr for config in fake.seen] == [0.02, 0.02]
    assert [list(row["parameters"]) for row in summary_of(tmp_path)["trials"]] == [["model.hidden"]] * 2


@pytest.mark.parametrize("method", ["random", "bayes", "grid"])
def test_nothing_is_tried_twice(tmp_path, monkeypatch, method):
    fake = FakeFit(monkeypatch)
    values = {"model.hidden": {"values": [8, 16]}, "train.max_epochs": {"min": 1, "max": 2}}
    assert run_sweep(tmp_path, write_sweep(tmp_path, values, method=method), "count=20") == 0
    tried = [(config.model.hidden, config.train.max_epochs) for config in fake.seen]
    assert sorted(tried) == [(8, 1), (8, 2), (16, 1), (16, 2)]
    assert len(summary_of(tmp_path)["trials"]) == 4


def test_workers_share_a_sweep(tmp_path, monkeypatch):
    fake, path = FakeFit(monkeypatch), write_sweep(tmp_path)
    inner = []

    def first_has_company(arguments, run_dir, *rest, **more):
        if run_dir.name == "trial-000":
            inner.append(run_sweep(tmp_path, path, "count=3"))  # another worker, while this trial runs
        return fake(arguments, run_dir, *rest, **more)

    monkeypatch.setattr(study, "fit", first_has_company)
    assert run_sweep(tmp_path, path, "count=3") == 0
    assert inner == [0]
    rows = summary_of(tmp_path)["trials"]
    assert [row["outcome"] for row in rows] == ["done"] * 3
    assert len({row["parameters"]["train.lr"] for row in rows}) == len(fake.seen) == 3


def test_a_study_that_cannot_be_kept_is_one_line(tmp_path, monkeypatch, capsys):
    FakeFit(monkeypatch)
    path = write_sweep(tmp_path)
    assert run_sweep(tmp_path, path, "count=1") == 0
    (tmp_path / "runs" / "sweep-s" / "study.db").write_bytes(b"no database" * 1000)
    capsys.readouterr()
    assert run_sweep(tmp_path, path, "count=2") == 2
    error = capsys.readouterr().err
    assert "sweep-s: the sweep cannot be kept (" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(("said", "again"), [("No space left on device", True), ("wrong value for `seed`", False)])
def test_a_trial_that_had_no_room_is_tried_again(tmp_path, monkeypatch, said, again):
    command = (sys.executable, "-c", f"import sys; print('tpl: error: a.h5: {said}; free some space.'); sys.exit(2)")
    monkeypatch.setattr(trial, "COMMAND", command)
    with pytest.raises(TrialFailed, match=said) as found:
        trial.fit([], tmp_path, tmp_path / "log", metric="quality/score", report=None)
    assert found.value.killed == again
