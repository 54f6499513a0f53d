"""``tpl bench``: one table, finished rows kept, a slow method leaves a row that says so."""

import json
import shlex
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from tpl_lightning.__main__ import main
from tpl_lightning.commands import bench
from tpl_lightning.commands.bench_rows import bench_row
from tpl_lightning.commands.bench_table import markdown_table
from tpl_lightning.config.loading import load_config


def _bench(tmp_path, cache_path, *options):
    return main(
        [
            "bench",
            f"data.cache={cache_path}",
            f"run.dir={tmp_path}",
            "run.name=b",
            "run.figures=false",
            "run.progress=false",
            "data.pca=4",
            "bench.seeds=[0]",
            *options,
        ]
    )


def _write(path, text):
    path.write_text(text)
    return path


def test_rows_are_made_once_and_one_that_is_slow_or_fails_says_so(tmp_path, cache_path, capsys):
    rough = _write(tmp_path / "rough.yaml", "method: direct\ndirect: {smoothness: 1}")
    broken = _write(tmp_path / "broken.yaml", "method: tpl\ntrainer: {acelerator: cpu}")
    assert _bench(tmp_path, cache_path, f"bench.methods=[{broken},direct,{rough}]") == 0
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
    assert _bench(tmp_path, cache_path, "bench.methods=[direct,tpl]", "bench.minutes=0.001") == 0
    printed = capsys.readouterr().out
    assert row.stat().st_mtime_ns == before
    assert "| direct fit | " in printed
    assert "out of time" in printed
    assert "| TPL (out of time after 0.001 min)" in (tmp_path / "b" / "bench.md").read_text()


def test_seeds_of_a_row_that_is_too_slow_are_not_tried_one_by_one(tmp_path, cache_path, capsys):
    options = ("bench.methods=[tpl,linear]", "bench.seeds=[0,1,2]", "bench.minutes=0.001")
    assert _bench(tmp_path, cache_path, *options) == 0
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


def test_the_command_in_the_table_makes_it_again(cache_path):
    given = ["data.pca=null", "data.actions=[jump]", "trainer.precision=bf16-mixed", "dtw.gamma=0.1", "bench.seeds=[3]"]
    config = load_config([f"data.cache={cache_path}", "bench.methods=[linear,softdba:1]", "run.name=x", *given])
    command = bench.table_command(config)
    assert str(cache_path.parent) not in command
    again = load_config(shlex.split(command)[2:])
    assert again.data == replace(config.data, cache=cache_path.name)
    assert (again.bench, again.dtw, again.trainer) == (config.bench, config.dtw, config.trainer)
    procedural = bench.table_command(load_config(["method=tpl_plus"]))
    assert procedural.startswith("tpl bench 'bench.methods=[linear,")
    assert "method=tpl_plus" in bench.table_command(load_config(["method=tpl_plus", "bench.methods=[a.yaml]"]))


def test_variants_become_options():
    row = bench_row("softdba:0.01+refined", "tpl")
    assert row.overrides == {"method": "softdba", "refine": True, "dtw": {"gamma": 0.01}}
    assert row.deterministic
    assert bench_row("dtan:wcss_prior", "tpl").overrides["dtan"] == {"objective": "wcss_prior"}


def test_what_prints_alike_is_bold_alike_and_one_row_is_not_bold():
    rows = {
        "a": {"test/plp": 0.90012, "test/plp/std": 0.0, "test/plp/seeds": 1},
        "b": {"test/plp": 0.90031, "test/plp/std": 0.01, "test/plp/seeds": 2},
        "c": {"test/plp": 0.8, "test/plp/std": 0.0, "test/plp/seeds": 1},
    }
    text = markdown_table(rows)
    assert "| a |  |  | **0.900** |" in text
    assert "| b |  |  | **0.900** ± 0.010 |" in text
    assert "| c |  |  | 0.800 |" in text
    assert "**" not in markdown_table({"c": rows["c"]})


@pytest.mark.parametrize("text", ["method: magic", "direct: {nope: 1}", "method: [tpl]"])
def test_a_yaml_row_with_wrong_options_is_named(tmp_path, cache_path, capsys, text):
    file = _write(tmp_path / "wrong.yaml", text)
    assert _bench(tmp_path, cache_path, f"bench.methods=[linear,{file}]") == 2
    assert f"bench.methods: {file}: " in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


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
    assert _bench(tmp_path, cache_path, option) == 2
    assert option.split("=")[0] in capsys.readouterr().err
