"""Sweeps: agents' commands as W&B builds them, and the same files run here."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import write_cache
from tests.sweep.sweep_files import write_sweep
from tpl_lightning.__main__ import main
from tpl_lightning.config.loading import load_config
from tpl_lightning.config.tree import config_to_dict
from tpl_lightning.sweep.definition import read_sweep
from tpl_lightning.sweep.space import as_argument

ROOT = Path(__file__).parent.parent.parent


SWEEPS = sorted((ROOT / "experiments" / "sweeps").glob("*.yaml"))


def _agent_command(raw, values):
    """The words that an agent of W&B runs for one trial (wandb/wandb_agent.py)."""
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


def test_bad_arguments_are_one_line_and_exit_code_2(tmp_path, capsys, monkeypatch):
    path = str(write_sweep(tmp_path))
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


def test_the_server_gets_the_file_with_what_was_typed(tmp_path, monkeypatch, capsys):
    import wandb

    given = {}
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    monkeypatch.setattr(wandb, "sweep", lambda raw, **options: given.update(raw=raw, **options) or "id123")
    assert main(["sweep", str(write_sweep(tmp_path)), "server=true", "data.cache=a.h5", "run.project=clips"]) == 0
    captured = capsys.readouterr()
    assert captured.out.strip() == "id123"
    assert "make agent SWEEP_ID=clips/id123" in captured.err
    assert given["project"] == "clips"
    words = _agent_command(given["raw"], {"train.lr": 0.01})
    assert words == ["/usr/bin/env", "tpl", "fit", "data.cache=a.h5", "run.project=clips", "train.lr=0.01"]


@pytest.mark.slow
def test_a_real_trial_from_the_command_line(tmp_path):
    """The whole way with nothing replaced: one process for the sweep, one for its trial."""
    cache = write_cache(tmp_path / "tiny.h5")
    path = write_sweep(tmp_path, {"data.pca": {"values": [3]}, "method": {"value": "linear"}})
    words = ["sweep", str(path), "count=1", f"data.cache={cache}", f"run.dir={tmp_path / 'runs'}"]
    done = subprocess.run([sys.executable, "-m", "tpl_lightning", *words], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    last = done.stdout.strip().splitlines()[-1]  # linear rescaling scores 0
    assert last == f"RESULT quality/score=0.0000 trial=0 config={tmp_path / 'runs' / 'sweep-s' / 'best.yaml'}"
    run = tmp_path / "runs" / "sweep-s" / "trial-000"
    assert load_config([str(run / "config.yaml")]).data.pca == 3
    assert as_argument("data.pca", None) == "data.pca=null"
