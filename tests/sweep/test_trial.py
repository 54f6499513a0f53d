"""One trial: followed, given up, and why it failed."""

import sys

import pytest

from tpl_lightning.sweep import trial
from tpl_lightning.sweep.trial import TrialFailed


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
    found = {name: trial.metric_of_run(tmp_path, name) for name in ("quality/score", "best/score", "train/loss")}
    assert found == {"quality/score": 0.5, "best/score": 0.7, "train/loss": 2.0}
    for name in ("val/plp", "val/loss"):
        with pytest.raises(TrialFailed, match=name):
            trial.metric_of_run(tmp_path, name)
