"""What a sweep has found so far: the best first, and where it comes from."""

import json

import pytest

from tests.sweep.sweep_files import write_sweep
from tpl_lightning.sweep.definition import read_sweep
from tpl_lightning.sweep.results import DONE, Results, Row, shown


def _row(trial, value, outcome=DONE, run="runs/none"):
    return Row(trial, outcome, value, 1.0, {"train.lr": 0.1 * (trial + 1)}, run, "")


@pytest.mark.parametrize(("goal", "order"), [("maximize", [1, 0, 2]), ("minimize", [0, 1, 2])])
def test_finished_trials_come_first_the_best_of_them_at_the_top(tmp_path, goal, order):
    sweep = read_sweep(write_sweep(tmp_path, metric={"name": "quality/score", "goal": goal}))
    results = Results(sweep, [_row(0, 0.2), _row(1, 0.3), _row(2, 0.9, "stopped early")])
    assert [row.trial for row in results.ranked] == order
    assert results.best == results.ranked[0]
    assert [row.trial for row in results.done] == [0, 1]
    assert results.line(results.rows[0]) == "train.lr=0.1"
    assert results.as_dict(results.rows[1])["quality/score"] == 0.3


def test_the_source_is_that_of_a_finished_trial(tmp_path):
    sweep = read_sweep(write_sweep(tmp_path))
    assert Results(sweep, []).best is None
    assert Results(sweep, [_row(0, 0.1)]).source == "not known before a trial has come to its end"
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "metrics.json").write_text(json.dumps({"data_source": "mine"}))
    assert Results(sweep, [_row(0, 0.1), _row(1, 0.1, run=str(tmp_path / "r"))]).source == "mine"


def test_values_are_short_and_zero_has_no_sign():
    assert [shown(value) for value in (0.123456, None, 3, "x")] == ["0.1235", "null", "3", "x"]
    assert [_row(0, value).figure for value in (-0.00001, None, 0.5)] == ["0.0000", "-", "0.5000"]
