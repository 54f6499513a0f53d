"""Models that are used elsewhere: on another machine, from another place, and methods that learn nothing themselves."""

import shutil

import pytest
import torch

from tpl_lightning.__main__ import main
from tpl_lightning.functional.distributed import compute_device


@pytest.mark.parametrize("method", ["linear", "pad"])
def test_a_refined_row_can_be_tested_also_where_all_has_moved(tmp_path, cache_path, method, capsys, monkeypatch):
    place = [f"data.cache={cache_path}", f"run.dir={tmp_path / 'runs'}", "run.figures=false", "run.progress=false"]
    assert main(["fit", *place, f"method={method}", "refine=true", "run.name=r", "direct.device=cuda"]) == 0
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.move(tmp_path / "runs", moved / "runs")
    shutil.move(cache_path, moved / cache_path.name)
    monkeypatch.chdir(moved)
    capsys.readouterr()
    assert main(["test", str(moved / "runs" / "r"), "direct.device=cpu", f"run.dir={moved / 'tests'}"]) == 0
    assert "RESULT test/plp=" in capsys.readouterr().out


def test_a_device_that_this_machine_does_not_have_is_no_hindrance():
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert compute_device("cuda:77").type == expected
    assert compute_device("auto").type == expected
    assert compute_device("cpu").type == "cpu"
