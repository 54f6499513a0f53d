"""Sweeps: agents' commands as W&B builds them, and the same files run here."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
import yaml

from tests.conftest import write_cache
from tpl_lightning.__main__ import main
from tpl_lightning.config.loading import load_config
from tpl_lightning.config.stored import save_config
from tpl_lightning.config.tree import config_to_dict
from tpl_lightning.errors import UserError
from tpl_lightning.sweep import study, trial
from tpl_lightning.sweep.definition import EarlyStop, read_sweep
from tpl_lightning.sweep.space import as_argument, read_parameter
from tpl_lightning.sweep.trial import TrialFailed

ROOT = Path(__file__).parent.parent.parent
SWEEPS = sorted((ROOT / "experiments" / "sweeps").glob("*.yaml"))
COMMAND = ["${env}", "${program}", "fit", "${args_no_hyphens}"]
LR = {"train.lr": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-1}}


def _write(folder, parameters=None, **more):
    raw = {
        "program": "tpl",
        "command": COMMAND,
        "method": "random",
        "parameters": LR if parameters is None else parameters,
        **more,
    }
    path = folder / "s.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


# --- W&B's agents


def _agent_command(raw, values):
    """The words that an agent of W&B runs for one trial (wandb/wandb_agent.py, Agent._command_run)."""
    from wandb.sdk.launch.sweeps.utils import create_sweep_command, create_sweep_command_args

    macros = create_sweep_command_args({"args": {name: {"value": value} for name, value in values.items()}})
    macros |= {"interpreter": ["python"], "program": [raw["program"]], "env": ["/usr/bin/env"]}
    words = []
    for word in map(str, create_sweep_command(list(raw["command"]))):
        words += macros.get(word[2:-1], []) if word.startswith("${") and word.endswith("}") else [word]
    return words


def _value(config, dotted):
    for key in dotted.split("."):
        config = config[key]
    return config


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_value_of_an_agent_arrives(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    sweep = read_sweep(path)
    for which in (0, -1):
        values = {p.name: p.probes()[which] for p in sweep.parameters}
        words = _agent_command(sweep.raw, values)
        assert words[:4] == ["/usr/bin/env", "tpl", "fit", "experiments/genai.yaml"]
        config = config_to_dict(load_config(words[3:]))
        assert {name: _value(config, name) for name in values} == values
    assert sweep.metric == "quality/score"
    assert sweep.maximize


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_a_trial_of_an_agent_runs(path, tmp_path, monkeypatch):
    """The agent's own command, cut to one step, where it starts: beside data/ and experiments/."""
    (tmp_path / "data").mkdir()
    write_cache(tmp_path / "data" / "genai.h5")
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_SWEEP_ID", "s1")
    monkeypatch.setenv("WANDB_RUN_ID", "trial7")
    sweep = read_sweep(path)
    words = _agent_command(sweep.raw, {p.name: p.probes()[0] for p in sweep.parameters})
    short = ["train.max_epochs=1", "train.val_every=1"]
    small = ["model.aligner_depth=3", "model.aligner_filters=2", "run.progress=false", "run.figures=false"]
    assert main([*words[2:], *short, *small]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name.endswith("-trial7")
    assert isinstance(json.loads((run / "metrics.json").read_text())["quality/score"], float)


def test_null_from_an_agent_is_null():
    (word,) = _agent_command({"program": "tpl", "command": ["${args_no_hyphens}"]}, {"data.pca": None})
    assert word == "data.pca=None"
    assert load_config([word]).data.pca is None


# --- parameters


def _draws(spec, number=200):
    parameter = read_parameter("x", spec)
    space = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    return [parameter.suggest(space.ask()) for _ in range(number)]


def test_distributions_give_what_they_say():
    values = _draws({"values": [1, "a", None, [4, 8]]})
    assert {json.dumps(value) for value in values} == {"1", '"a"', "null", "[4, 8]"}
    assert _draws({"value": [1, 2]}, 2) == [[1, 2], [1, 2]]
    whole = _draws({"min": 2, "max": 5})
    assert set(whole) == {2, 3, 4, 5}
    assert all(type(value) is int for value in whole)
    even = _draws({"min": 0.0, "max": 1.0})
    assert 0 <= min(even) < 0.05
    assert 0.95 < max(even) <= 1
    steps = _draws({"distribution": "q_uniform", "min": 0.1, "max": 0.5, "q": 0.1})
    assert set(steps) == {0.1, 0.2, 0.3, 0.4, 0.5}
    assert set(_draws({"distribution": "q_uniform", "min": 16, "max": 64, "q": 16})) == {16, 32, 48, 64}
    for name, low, high in (("log_uniform_values", 1e-4, 1), ("log_uniform", -9.21034, 0)):
        values = _draws({"distribution": name, "min": low, "max": high})
        assert 1e-4 * 0.999 <= min(values) <= max(values) <= 1
        assert 60 < sum(value < 1e-2 for value in values) < 140  # half of the logarithms
    assert set(_draws({"distribution": "q_log_uniform_values", "min": 8, "max": 64, "q": 8})) <= set(range(8, 65, 8))


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"distribution": "normal", "mu": 0, "sigma": 1}, "mu"),
        ({"distribution": "beta"}, "beta"),
        ({"values": [1, 2], "probabilities": [0.1, 0.9]}, "probabilities"),
        ({"parameters": {"lr": {"value": 1}}}, "dotted"),
        ({"min": 1}, "max"),
        ({"min": 2, "max": 1}, "below"),
        ({"min": "a", "max": 1}, "min"),
        ({"values": []}, "values"),
        ({"distribution": "log_uniform_values", "min": 0, "max": 1}, "above 0"),
        ({"distribution": "int_uniform", "min": 0.5, "max": 2}, "integers"),
        ({"distribution": "q_uniform", "min": 0, "max": 2, "q": 0}, "q"),
        (3, "value"),
    ],
)
def test_what_is_not_known_is_refused_by_name(spec, named):
    with pytest.raises(UserError, match=named) as info:
        read_parameter("train.lr", spec)
    assert "train.lr" in str(info.value)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"method": "annealing"}, "method"),
        ({"metric": {"name": "test/plp", "goal": "maximize"}}, "test videos"),
        ({"metric": {"name": "event_spread"}}, "test videos"),
        ({"metric": {"name": "quality/score", "goal": "up"}}, "goal"),
        ({"command": ["${env}", "tpl", "fit"]}, "args_no_hyphens"),
        ({"command": ["tpl", "fit", "${args_json}", "${args}"]}, "args_json"),
        ({"command": None}, "command"),
        ({"parameters": {"train.lrr": {"value": 1}}}, "lrr"),
        ({"parameters": {"train.lr": {"values": [0.1, -1]}}}, "train.lr"),
        ({"parameters": {"train.lr": {"distribution": "gamma"}}}, "gamma"),
        ({"parameters": []}, "parameters"),
        ({"early_terminate": {"type": "median"}}, "hyperband"),
        ({"early_terminate": {"type": "hyperband"}}, "min_iter"),
        ({"early_terminate": {"type": "hyperband", "min_iter": 0}}, "min_iter"),
        ({"metod": "random"}, "metod"),
        ({"method": "grid"}, "grid"),
    ],
)
def test_a_bad_file_is_one_line_and_exit_code_2(tmp_path, change, named, capsys):
    path = _write(tmp_path, **change)
    assert main(["sweep", str(path), f"run.dir={tmp_path / 'runs'}"]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("tpl: error:")
    assert "\n" not in error
    assert named in error
    assert not (tmp_path / "runs").exists()


def test_bad_arguments_are_one_line_and_exit_code_2(tmp_path, capsys, monkeypatch):
    path = str(_write(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "broken.yaml").write_text("a: [1\n")
    cases = [
        ([], ""),
        (["none.yaml"], "none.yaml"),
        ([path, path], "one sweep file"),
        ([path, "count=0"], "count"),
        ([path, "count=many"], "count"),
        ([path, "server=maybe"], "server"),
        ([path, "server=true"], "wandb login"),
        ([path, "train.nonsense=1"], "nonsense"),
        ([str(tmp_path / "list.yaml")], "top level"),
        ([str(tmp_path / "broken.yaml")], "broken.yaml"),
    ]
    for arguments, named in cases:
        assert main(["sweep", *arguments]) == 2, arguments
        assert named in capsys.readouterr().err


def test_hyperband_in_both_spellings(tmp_path):
    path = _write(tmp_path, early_terminate={"type": "hyperband", "min_iter": 4, "eta": 2})
    assert read_sweep(path).early_stop == EarlyStop(4, 2)
    path = _write(tmp_path, early_terminate={"type": "hyperband", "max_iter": 27, "s": 2})
    assert read_sweep(path).early_stop == EarlyStop(3, 3)


def test_the_server_gets_the_file_with_what_was_typed(tmp_path, monkeypatch, capsys):
    import wandb

    given = {}
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    monkeypatch.setattr(wandb, "sweep", lambda raw, **options: given.update(raw=raw, **options) or "id123")
    assert main(["sweep", str(_write(tmp_path)), "server=true", "data.cache=a.h5", "run.project=clips"]) == 0
    captured = capsys.readouterr()
    assert captured.out.strip() == "id123"
    assert "make agent SWEEP_ID=clips/id123" in captured.err
    assert given["project"] == "clips"
    words = _agent_command(given["raw"], {"train.lr": 0.01})
    assert words == ["/usr/bin/env", "tpl", "fit", "data.cache=a.h5", "run.project=clips", "train.lr=0.01"]


# --- sweeps run here


class FakeFit:
    """Stands for ``tpl fit`` in the sweep: the metric is a function of the learning rate, logged five times."""

    def __init__(self, monkeypatch, *, fail=(), kill=(), stop=()):
        self.calls, self.seen = 0, []
        self.fail, self.kill, self.stop = fail, kill, stop
        monkeypatch.setattr(study, "fit", self)

    def __call__(self, arguments, run_dir, log, *, metric, report):
        number, self.calls = self.calls, self.calls + 1
        config = load_config(arguments)
        self.seen.append(config)
        assert Path(config.run.dir) / config.run.name == run_dir
        if number in self.stop:
            raise KeyboardInterrupt
        if number in self.kill:
            raise TrialFailed("killed by signal 9", killed=True)
        if number in self.fail:
            raise TrialFailed("it broke")
        score = 1 - abs(config.train.lr - 0.05)
        for step in range(1, 6):
            if report is not None and report(step, score * step / 5):
                return False
        run_dir.mkdir()
        save_config(config, run_dir / "config.yaml")
        (run_dir / "metrics.json").write_text(json.dumps({"quality/score": score, "data_source": "made by a test"}))
        return True


def _sweep(folder, path, *options):
    return main(["sweep", str(path), f"run.dir={folder / 'runs'}", *options])


def _summary(folder, name="sweep-s"):
    return json.loads((folder / "runs" / name / "sweep.json").read_text())


def test_a_sweep_leaves_a_table_a_plot_and_the_best_configuration(tmp_path, monkeypatch, capsys):
    fake = FakeFit(monkeypatch)
    path = _write(tmp_path, {**LR, "model.hidden": {"values": [8, 16]}, "data.pca": {"value": None}})
    assert _sweep(tmp_path, path, "count=6", "seed=3") == 0
    folder = tmp_path / "runs" / "sweep-s"
    lines = (folder / "sweep.md").read_text().splitlines()
    assert lines[0] == "Data: made by a test"
    rows = [line for line in lines if line.startswith("|")][2:]
    assert len(rows) == 6
    assert ["**" in row for row in rows] == [True] + [False] * 5
    with (folder / "sweep.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    best = max(table, key=lambda row: float(row["quality/score"]))
    assert _summary(tmp_path)["best"]["trial"] == int(best["trial"])
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


def test_a_sweep_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch, capsys):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    first = FakeFit(monkeypatch)
    assert _sweep(whole, _write(whole), "count=5") == 0
    second = FakeFit(monkeypatch, stop=[2])
    assert _sweep(parts, _write(parts), "count=5") == 130
    assert _sweep(parts, parts / "s.yaml", "count=5") == 0
    # Trial 2 was killed, so its values are tried once more; what follows is what would have followed.
    tried = [config.train.lr for config in second.seen]
    assert tried[2] == tried[3]
    assert [*tried[:2], *tried[3:]] == [config.train.lr for config in first.seen]
    assert [row["trial"] for row in _summary(parts)["trials"]] == [0, 1, 3, 4, 5]
    calls = second.calls
    assert _sweep(parts, parts / "s.yaml", "count=5") == 0  # all there: nothing runs
    assert second.calls == calls
    assert _sweep(parts, parts / "s.yaml", "count=5", "train.max_epochs=7") == 2
    assert "other overrides" in capsys.readouterr().err


def test_a_trial_whose_sweep_was_shot_runs_again(tmp_path, monkeypatch):
    fake = FakeFit(monkeypatch, kill=[1])
    path = _write(tmp_path)
    assert _sweep(tmp_path, path, "count=2") == 0
    assert [row["outcome"] for row in _summary(tmp_path)["trials"]] == ["done", "killed"]
    folder = tmp_path / "runs" / "sweep-s"
    # What a SIGKILL leaves: a trial that has begun.
    left = optuna.load_study(study_name="sweep-s", storage=f"sqlite:///{folder / 'study.db'}").ask()
    value = left.suggest_float("train.lr", 1e-4, 1e-1, log=True)
    assert _sweep(tmp_path, path, "count=3") == 0
    assert [row["outcome"] for row in _summary(tmp_path)["trials"]] == ["done"] * 3
    rates = [config.train.lr for config in fake.seen]
    assert rates[2] == rates[1]
    assert rates[3] == pytest.approx(value, rel=1e-12)


def test_early_stopping_saves_steps(tmp_path, monkeypatch):
    FakeFit(monkeypatch)
    path = _write(tmp_path, early_terminate={"type": "hyperband", "min_iter": 1, "eta": 2}, method="bayes")
    assert _sweep(tmp_path, path, "count=12") == 0
    rows = _summary(tmp_path)["trials"]
    outcomes = [row["outcome"] for row in rows]
    assert outcomes[0] == "done"
    assert outcomes.count("stopped early") >= 4
    best = max(row["quality/score"] for row in rows if row["outcome"] == "done")
    assert all(row["quality/score"] < best for row in rows if row["outcome"] == "stopped early")


def test_a_grid_is_walked_once_also_where_a_trial_was_killed(tmp_path, monkeypatch):
    fake = FakeFit(monkeypatch, stop=[5])
    parameters = {"train.lr": {"values": [0.01, 0.05]}, "seed": {"min": 1, "max": 3}}
    path = _write(tmp_path, parameters, method="grid")
    assert _sweep(tmp_path, path, "count=50") == 130
    assert _sweep(tmp_path, path, "count=50") == 0
    rows = _summary(tmp_path)["trials"]
    tried = sorted((row["parameters"]["train.lr"], row["parameters"]["seed"]) for row in rows)
    assert tried == [(rate, seed) for rate in (0.01, 0.05) for seed in (1, 2, 3)]
    assert fake.calls == 7
    assert _summary(tmp_path)["best"]["parameters"]["train.lr"] == 0.05


def test_failed_trials_stand_in_the_table_and_three_from_the_start_end_it(tmp_path, monkeypatch, capsys):
    FakeFit(monkeypatch, fail=[1])
    path = _write(tmp_path)
    assert _sweep(tmp_path, path, "count=3") == 0
    assert "failed (it broke)" in (tmp_path / "runs" / "sweep-s" / "sweep.md").read_text()
    fake = FakeFit(monkeypatch, fail=range(9))
    assert _sweep(tmp_path, path, "count=9", "run.name=other") == 2
    assert "it broke" in capsys.readouterr().err
    assert fake.calls == 3


def test_a_parameter_on_the_command_line_is_not_varied(tmp_path, monkeypatch):
    fake = FakeFit(monkeypatch)
    path = _write(tmp_path, {**LR, "seed": {"min": 0, "max": 1000}}, run_cap=2)
    assert _sweep(tmp_path, path, "train.lr=0.03", "run.wandb=offline") == 0
    assert [config.train.lr for config in fake.seen] == [0.03, 0.03]
    assert [config.run.wandb for config in fake.seen] == ["offline"] * 2
    assert len({config.seed for config in fake.seen}) == 2


# --- one trial


def _fit_of(monkeypatch, code):
    monkeypatch.setattr(trial, "COMMAND", (sys.executable, "-S", "-c", code))


def _run(tmp_path, report=None, metric="val/plp"):
    return trial.fit([str(tmp_path)], tmp_path, tmp_path / "log", metric=metric, report=report)


LOGGING = """
import pathlib, sys, time
file = pathlib.Path(sys.argv[1]) / "metrics.csv"
text = "epoch,step,val/plp\\n"
for epoch in range(40):
    text += f"{epoch},{epoch},{epoch / 10}\\n"
    file.write_text(text)
    time.sleep(0.05)
"""


def test_a_trial_is_followed_and_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "POLL_SECONDS", 0.02)
    _fit_of(monkeypatch, LOGGING)
    told = []
    assert not _run(tmp_path, lambda number, value: told.append((number, value)) or number == 3)
    assert told == [(1, 0.0), (2, 0.1), (3, 0.2)]
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) < 40


def test_why_a_trial_failed_is_its_last_line(tmp_path, monkeypatch):
    _fit_of(monkeypatch, "import sys; print('first'); sys.exit('tpl: error: no cache')")
    with pytest.raises(TrialFailed, match="tpl: error: no cache") as info:
        _run(tmp_path)
    assert not info.value.killed
    _fit_of(monkeypatch, "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(TrialFailed, match="signal 9") as info:
        _run(tmp_path)
    assert info.value.killed


def test_metrics_are_looked_up_in_both_files(tmp_path):
    (tmp_path / "metrics.json").write_text('{"quality/score": 0.5, "val/plp": null}')
    (tmp_path / "metrics.csv").write_text("epoch,step,quality/score,train/loss\n0,0,0.7,3\n1,1,0.6,2\n")
    found = {name: trial.metric_of_run(tmp_path, name)[0] for name in ("quality/score", "best/score", "train/loss")}
    assert found == {"quality/score": 0.5, "best/score": 0.7, "train/loss": 2.0}
    for name in ("val/plp", "val/loss"):
        with pytest.raises(TrialFailed, match=name):
            trial.metric_of_run(tmp_path, name)


@pytest.mark.slow
def test_a_real_trial_from_the_command_line(tmp_path):
    """The whole way with nothing replaced: one process for the sweep, one for its trial."""
    cache = write_cache(tmp_path / "tiny.h5")
    path = _write(tmp_path, {"data.pca": {"values": [3]}, "method": {"value": "linear"}})
    words = ["sweep", str(path), "count=1", f"data.cache={cache}", f"run.dir={tmp_path / 'runs'}"]
    done = subprocess.run([sys.executable, "-m", "tpl_lightning", *words], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    last = done.stdout.strip().splitlines()[-1]  # linear rescaling scores 0
    assert last == f"RESULT quality/score=0.0000 trial=0 config={tmp_path / 'runs' / 'sweep-s' / 'best.yaml'}"
    run = tmp_path / "runs" / "sweep-s" / "trial-000"
    assert load_config([str(run / "config.yaml")]).data.pca == 3
    assert as_argument("data.pca", None) == "data.pca=null"


@pytest.mark.parametrize(
    ("spec", "values"),
    [
        ({"distribution": "q_uniform", "min": 1, "max": 10, "q": 2}, [2, 4, 6, 8, 10]),
        ({"distribution": "q_uniform", "min": 10, "max": 100, "q": 25}, [25, 50, 75, 100]),
        ({"distribution": "q_uniform", "min": 0.5, "max": 3.5, "q": 1}, [1, 2, 3]),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.3}, [0.0, 0.3, 0.6, 0.9]),
        ({"distribution": "int_uniform", "min": 2, "max": 2}, [2]),
    ],
)
def test_quantised_values_are_multiples_within_the_limits(spec, values):
    import optuna

    parameter = read_parameter("k", spec)
    assert parameter.grid() == values
    assert parameter.count == len(values)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = {parameter.suggest(study.ask()) for _ in range(60)}
    assert sorted(drawn) == values


def test_quantised_values_on_a_logarithmic_scale_stay_within_the_limits():
    import optuna

    parameter = read_parameter("k", {"distribution": "q_log_uniform_values", "min": 1, "max": 100, "q": 10})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = {parameter.suggest(study.ask()) for _ in range(60)}
    assert min(drawn) == 10
    assert all(value % 10 == 0 and value <= 100 for value in drawn)


def test_limits_without_a_multiple_are_refused():
    with pytest.raises(UserError, match="no multiple of `q` 7"):
        read_parameter("k", {"distribution": "q_uniform", "min": 8, "max": 13, "q": 7})


@pytest.mark.parametrize("written", ["--train.lr=0.02", "train={lr: 0.02}", "train[lr]=0.02"])
def test_a_value_on_the_line_is_used_and_not_reported_as_varied(tmp_path, monkeypatch, written):
    fake = FakeFit(monkeypatch)
    path = _write(tmp_path, {**LR, "model.hidden": {"values": [8, 16]}})
    assert _sweep(tmp_path, path, "--count=2", written) == 0
    assert [config.train.lr for config in fake.seen] == [0.02, 0.02]
    assert [list(row["parameters"]) for row in _summary(tmp_path)["trials"]] == [["model.hidden"]] * 2


@pytest.mark.parametrize("method", ["random", "bayes", "grid"])
def test_nothing_is_tried_twice(tmp_path, monkeypatch, method):
    fake = FakeFit(monkeypatch)
    values = {"model.hidden": {"values": [8, 16]}, "train.max_epochs": {"min": 1, "max": 2}}
    assert _sweep(tmp_path, _write(tmp_path, values, method=method), "count=20") == 0
    tried = [(config.model.hidden, config.train.max_epochs) for config in fake.seen]
    assert sorted(tried) == [(8, 1), (8, 2), (16, 1), (16, 2)]
    assert len(_summary(tmp_path)["trials"]) == 4


def test_workers_share_a_sweep(tmp_path, monkeypatch):
    fake, path = FakeFit(monkeypatch), _write(tmp_path)
    inner = []

    def first_has_company(arguments, run_dir, *rest, **more):
        if run_dir.name == "trial-000":
            inner.append(_sweep(tmp_path, path, "count=3"))  # another worker, while this trial runs
        return fake(arguments, run_dir, *rest, **more)

    monkeypatch.setattr(study, "fit", first_has_company)
    assert _sweep(tmp_path, path, "count=3") == 0
    assert inner == [0]
    rows = _summary(tmp_path)["trials"]
    assert [row["outcome"] for row in rows] == ["done"] * 3
    assert len({row["parameters"]["train.lr"] for row in rows}) == len(fake.seen) == 3


def test_a_study_that_cannot_be_kept_is_one_line(tmp_path, monkeypatch, capsys):
    FakeFit(monkeypatch)
    path = _write(tmp_path)
    assert _sweep(tmp_path, path, "count=1") == 0
    (tmp_path / "runs" / "sweep-s" / "study.db").write_bytes(b"no database" * 1000)
    capsys.readouterr()
    assert _sweep(tmp_path, path, "count=2") == 2
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
