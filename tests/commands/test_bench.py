"""``tpl bench``: one table, finished rows kept, a slow method leaves a row that says so."""

import json
import subprocess
import sys
import time

import pytest

from tests.commands.benching import run_bench, written
from tpl_lightning.commands import bench


def test_rows_are_made_once_and_one_that_is_slow_or_fails_says_so(tmp_path, cache_path, capsys):
    rough = written(tmp_path / "rough.yaml", "method: direct\ndirect: {smoothness: 1}")
    broken = written(tmp_path / "broken.yaml", "method: tpl\ntrainer: {acelerator: cpu}")
    assert run_bench(tmp_path, cache_path, f"bench.methods=[{broken},direct,{rough}]") == 0
    table = json.loads((tmp_path / "b" / "bench.json").read_text())["rows"]
    assert list(table) == ["broken", "direct fit", "rough"]
    assert "acelerator" in table["broken"]["failed"]
    assert "| broken (failed (tpl: error: " in capsys.readouterr().out
    assert not list((tmp_path / "b").glob(".*.yaml"))
    assert table["direct fit"]["memory_mib"] > 50
    assert table["direct fit"]["warp_error"] != table["rough"]["warp_error"]
    assert (tmp_path / "b" / "bench.png").stat().st_size > 1000
    row = tmp_path / "b" / "direct-s0" / "bench_row.json"
    before = row.stat().st_mtime_ns
    capsys.readouterr()
    assert run_bench(tmp_path, cache_path, "bench.methods=[direct,tpl]", "bench.minutes=0.001") == 0
    printed = capsys.readouterr().out
    assert row.stat().st_mtime_ns == before
    assert "| direct fit | " in printed
    assert "out of time" in printed
    assert "| TPL (out of time after 0.001 min)" in (tmp_path / "b" / "bench.md").read_text()


def test_seeds_of_a_row_that_is_too_slow_are_not_tried_one_by_one(tmp_path, cache_path, capsys):
    options = ("bench.methods=[tpl,linear]", "bench.seeds=[0,1,2]", "bench.minutes=0.001")
    assert run_bench(tmp_path, cache_path, *options) == 0
    said = capsys.readouterr().err
    assert "tpl, seed 0" in said
    assert "tpl, seed 1" not in said
    assert "linear, seed 0" in said


def test_what_runs_out_of_time_is_stopped_with_all_it_has_started(tmp_path):
    mark = tmp_path / "mark"
    child = f"import time, pathlib; time.sleep(1.5); pathlib.Path({str(mark)!r}).touch()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    process = subprocess.Popen([sys.executable, "-c", parent], start_new_session=True)
    assert bench.wait(process, 0.5)[0] is None
    time.sleep(1.8)
    assert not mark.exists()


@pytest.mark.parametrize(
    "option",
    [
        "bench.methods=[magic]",
        "bench.methods=[softdba:x]",
        "bench.methods=[tpl:x]",
        "bench.methods=[none.yaml]",
        "bench.methods=[dtan:x]",
        "bench.methods=[softdba:-1]",
        "bench.methods=[linear,linear]",
        "bench.minutes=0",
        "bench.seeds=[]",
    ],
)
def test_bad_options_are_named(tmp_path, cache_path, capsys, option):
    assert run_bench(tmp_path, cache_path, option) == 2
    assert option.split("=")[0] in capsys.readouterr().err
