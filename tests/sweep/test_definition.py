"""Sweep files, read and checked."""

import pytest

from tests.sweep.sweep_files import write_sweep
from tpl_lightning.__main__ import main
from tpl_lightning.sweep.definition import EarlyStop, read_sweep


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
    path = write_sweep(tmp_path, **change)
    assert main(["sweep", str(path), f"run.dir={tmp_path / 'runs'}"]) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("tpl: error:")
    assert "\n" not in error
    assert named in error
    assert not (tmp_path / "runs").exists()


def test_hyperband_in_both_spellings(tmp_path):
    path = write_sweep(tmp_path, early_terminate={"type": "hyperband", "min_iter": 4, "eta": 2})
    assert read_sweep(path).early_stop == EarlyStop(4, 2)
    path = write_sweep(tmp_path, early_terminate={"type": "hyperband", "max_iter": 27, "s": 2})
    assert read_sweep(path).early_stop == EarlyStop(3, 3)
