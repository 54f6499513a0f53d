"""Rows of the benchmark: variants, YAML files, the command that makes one again."""

import shlex
from dataclasses import replace

import pytest

from tests.commands.benching import run_bench, written
from tpl_lightning.commands import bench
from tpl_lightning.commands.bench_rows import bench_row
from tpl_lightning.config.loading import load_config


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


@pytest.mark.parametrize("text", ["method: magic", "direct: {nope: 1}", "method: [tpl]"])
def test_a_yaml_row_with_wrong_options_is_named(tmp_path, cache_path, capsys, text):
    file = written(tmp_path / "wrong.yaml", text)
    assert run_bench(tmp_path, cache_path, f"bench.methods=[linear,{file}]") == 2
    assert f"bench.methods: {file}: " in capsys.readouterr().err
    assert not (tmp_path / "b").exists()
