"""What a run tells W&B, read back from the offline file; what happens where W&B fails."""

import csv
import json
import sys

import pytest
import torch
import wandb

from tests.conftest import write_cache
from tests.run_factory import make_run
from tests.tracking.wandb_file import read_wandb
from tpl_lightning.__main__ import main
from tpl_lightning.config.loading import load_config
from tpl_lightning.config.tree import config_to_dict
from tpl_lightning.tracking import WandbRun, open_wandb_run

TINY = [
    "train.max_epochs=6",
    "train.val_every=2",
    "model.hidden=8",
    "model.aligner_filters=2",
    "model.aligner_depth=3",
    "data.pca=4",
    "run.progress=false",
]
FAST = "run.figures=false"
SPLIT = ["train"] * 4 + ["val"] * 2 + ["test"] * 2


def _fit(folder, cache, name, *options):
    return main(["fit", f"data.cache={cache}", f"run.dir={folder / 'runs'}", f"run.name={name}", *TINY, *options])


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return write_cache(tmp_path_factory.mktemp("data") / "tiny.h5", split=SPLIT)


@pytest.fixture(scope="module")
def run(tmp_path_factory, cache):
    """A TPL run on a data set with a validation split, logged offline."""
    folder = tmp_path_factory.mktemp("tpl")
    options = ["method=tpl", "run.wandb=offline", "run.tags=[mine]", "run.project=clips", "seed=3"]
    assert _fit(folder, cache, "first", *options) == 0
    return folder / "runs" / "first"


@pytest.fixture(scope="module")
def logged(run):
    return read_wandb(run)


def test_name_group_and_tags_tell_runs_apart(logged, run):
    about = logged.run
    assert (about.display_name, about.run_group, about.job_type) == ("first", "genai-tpl", "seed3")
    assert about.project == "clips"
    assert set(about.tags) == {"genai", "tpl", "seed 3", "mine", "waves"}
    assert logged.exit_code == 0


def test_the_whole_configuration_lies_under_one_key(logged, run):
    assert list(logged.config) == ["tpl"]
    assert logged.config["tpl"] == json.loads(json.dumps(config_to_dict(load_config([str(run / "config.yaml")]))))


def test_metrics_of_training_are_those_of_the_csv_log(logged, run):
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name in ("train/loss", "train/icae_weight", "train/cbc", "val/plp", "val/event_spread", "quality/score"):
        expected = [(int(row["epoch"]), float(row[name])) for row in rows if row.get(name)]
        found = [(row["epoch"], row[name]) for row in logged.history if name in row and "trainer/global_step" in row]
        assert len(expected) == (6 if name in ("train/loss", "train/icae_weight") else 3), name
        assert [epoch for epoch, _ in found] == [epoch for epoch, _ in expected], name
        assert [value for _, value in found] == pytest.approx([value for _, value in expected], rel=1e-4), name
    assert {"train/*": "epoch", "val/*": "epoch", "best/*": "epoch"}.items() <= logged.metrics.items()


def test_best_values_go_one_way_and_end_in_the_summary(logged):
    for name, best, better in (("val/plp", "best/plp", max), ("val/event_spread", "best/event_spread", min)):
        values = [row[name] for row in logged.history if name in row]
        assert [row[best] for row in logged.history if best in row] == [
            better(values[: k + 1]) for k in range(len(values))
        ]
        assert logged.summary[best] == better(values)


def test_the_summary_holds_the_final_metrics(logged, run):
    metrics = json.loads((run / "metrics.json").read_text())
    assert 0 <= metrics["val/plp"] <= 1
    for name in ("test/plp", "train/cbc", "linear/test/plp", "quality/score", "val/plp", "seconds/fit"):
        assert logged.summary[name] == pytest.approx(metrics[name]), name
    assert logged.summary["cache_fingerprint"] == metrics["cache_fingerprint"]


def test_figures_are_images_also_of_some_epochs(logged, run):
    def images(name):
        rows = [row for row in logged.history if f"{name}/_type" in row]
        for row in rows:
            assert row[f"{name}/_type"] == "image-file"
            assert (logged.folder / "files" / row[f"{name}/path"]).stat().st_size > 2000
        return rows

    for name in ("latents", "warps", "prototypes", "curves"):
        assert len(images(f"figures/{name}")) == 1, name
    for name in ("latents", "warps", "prototypes"):
        assert [row["epoch"] for row in images(f"figures/epochs/{name}")] == [1, 3], name
        assert (run / "figures" / "epoch-0002" / f"{name}.png").is_file()


def test_checkpoint_and_cache_are_artifacts_and_the_cache_is_not_copied(logged, run, cache):
    model, data = logged.artifacts["model"], logged.artifacts["dataset"]
    (entry,) = [e for e in model.manifest.contents if e.path == "last.ckpt"]
    assert entry.local_path == str(run / "checkpoints" / "last.ckpt")
    (entry,) = data.manifest.contents
    assert (entry.ref, entry.local_path) == (cache.resolve().as_uri(), "")
    fingerprint = json.loads((run / "metrics.json").read_text())["cache_fingerprint"]
    assert json.loads(data.metadata)["fingerprint"] == json.loads(model.metadata)["cache_fingerprint"] == fingerprint
    assert fingerprint in data.name
    assert not [path for path in run.rglob("*.h5") if path.name != "alignment.h5"]


def test_logging_changes_no_weight(run, cache, tmp_path):
    assert _fit(tmp_path, cache, "again", "method=tpl", "seed=3", "run.wandb=disabled", FAST) == 0
    again = tmp_path / "runs" / "again"
    assert not (again / "wandb").exists()
    states = [
        torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for folder in (run, again)
    ]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_a_method_without_a_trainer_and_its_clips(tmp_path):
    make_run(tmp_path)  # for its cache and clips
    options = ["method=direct", "run.wandb=offline", "run.group=mine", "data.folds=2", "data.fold=1"]
    assert _fit(tmp_path, tmp_path / "cache.h5", "direct", *options) == 0
    logged = read_wandb(tmp_path / "runs" / "direct")
    assert (logged.run.run_group, logged.run.job_type) == ("mine", "fold1of2-seed0")
    assert "fold 1of2" in logged.run.tags
    assert "test/plp" in logged.summary
    assert "model" in logged.artifacts
    (row,) = [row for row in logged.history if "preview/path" in row]
    assert row["preview/_type"] == "video-file"
    clip = logged.folder / "files" / row["preview/path"]
    assert clip.read_bytes() == (tmp_path / "runs" / "direct" / "figures" / "preview.mp4").read_bytes()


def test_a_trial_of_a_sweep_has_its_own_name_and_keeps_the_flat_keys(tmp_path, cache, monkeypatch):
    drawn = tmp_path / "config.yaml"
    drawn.write_text("wandb_version: 1\ndirect.smoothness:\n  value: 0.2\n")
    for name, value in {"RUN_ID": "abc123", "SWEEP_ID": "s1", "SWEEP_PARAM_PATH": str(drawn)}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    wandb.teardown()  # an agent starts a process for each trial; in one process the environment is read once
    assert _fit(tmp_path, cache, "trial", "method=linear", "direct.smoothness=0.2", "run.wandb=offline", FAST) == 0
    wandb.teardown()
    logged = read_wandb(tmp_path / "runs" / "trial-abc123")
    assert (logged.run.run_id, logged.run.sweep_id) == ("abc123", "s1")
    assert logged.config["direct.smoothness"] == logged.config["tpl"]["direct"]["smoothness"] == 0.2


def test_a_run_goes_on_where_wandb_does_not_start(tmp_path, cache, monkeypatch, capsys):
    def broken(**_):
        raise OSError("no service\nsecond line")

    monkeypatch.setattr(wandb, "init", broken)
    assert _fit(tmp_path, cache, "broken", "method=linear", "run.wandb=online", FAST) == 0
    captured = capsys.readouterr()
    assert captured.err.count("W&B") == 1
    assert "Warning: W&B does not start online (no service); the run goes on without it." in captured.err
    assert captured.out.strip().splitlines()[-1].startswith("RESULT")


def test_disabled_needs_no_wandb(tmp_path, cache, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "wandb", None)  # importing it raises
    assert _fit(tmp_path, cache, "off", "method=linear", "run.wandb=disabled", FAST) == 0
    assert "W&B" not in capsys.readouterr().err
    assert _fit(tmp_path, cache, "missing", "method=linear", "run.wandb=offline", FAST) == 0
    assert capsys.readouterr().err.count("Warning: W&B does not start") == 1


def test_a_failure_in_the_middle_is_warned_of_once(tmp_path, capsys):
    class Dead:
        finished = 0

        def log(self, _):
            raise BrokenPipeError("service is gone")

        def finish(self, exit_code):
            Dead.finished += exit_code

    wandb_run = WandbRun(tmp_path, Dead())
    for _ in range(3):
        wandb_run.log_metrics({"quality/score": 1.0})
    assert capsys.readouterr().err.count("W&B failed (service is gone)") == 1
    assert not wandb_run.is_active
    assert wandb_run.loggers() == []
    assert Dead.finished == 1


def test_other_ranks_log_nothing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with open_wandb_run(load_config(["run.wandb=offline"]), tmp_path, main=False) as wandb_run:
        assert not wandb_run.is_active
        assert wandb_run.loggers() == []
        wandb_run.log_metrics({"quality/score": 1.0})
    assert not list(tmp_path.iterdir())


def test_a_failed_run_is_closed_as_failed(tmp_path):
    def fail():
        with open_wandb_run(load_config(["run.wandb=offline"]), tmp_path) as wandb_run:
            assert wandb_run.is_active
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        fail()
    assert read_wandb(tmp_path).exit_code == 1
    assert wandb.run is None
