"""``tpl bench``: one table, finished rows kept, a slow method leaves a row that says so."""

import json

import pytest

from tpl_lightning.__main__ import main


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


def test_rows_are_made_once_and_a_slow_one_says_so(tmp_path, cache_path, capsys):
    assert _bench(tmp_path, cache_path, "bench.methods=[linear,direct]") == 0
    table = json.loads((tmp_path / "b" / "bench.json").read_text())["rows"]
    assert table["direct"]["warp_error"] < table["linear"]["warp_error"]
    assert table["direct"]["memory_mib"] > 50
    row = tmp_path / "b" / "direct-s0" / "bench_row.json"
    before = row.stat().st_mtime_ns
    capsys.readouterr()
    assert _bench(tmp_path, cache_path, "bench.methods=[direct,tpl]", "bench.minutes=0.001") == 0
    printed = capsys.readouterr().out
    assert row.stat().st_mtime_ns == before
    assert "| direct fit | " in printed
    assert "out of time" in printed
    assert "| TPL (out of time after 0.001 min)" in (tmp_path / "b" / "bench.md").read_text()


@pytest.mark.parametrize("option", ["bench.methods=[magic]", "bench.minutes=0", "bench.seeds=[]"])
def test_bad_options_are_named(tmp_path, cache_path, capsys, option):
    assert _bench(tmp_path, cache_path, option) == 2
    assert option.split("=")[0] in capsys.readouterr().err
