"""The table of the benchmark: what is bold."""

from tpl_lightning.commands.bench_table import markdown_table


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
