"""docs/make_results.py: tables are made anew or stay as they are."""

import importlib.util
import json
from pathlib import Path

FILE = Path(__file__).parents[1] / "docs" / "make_results.py"


def _module():
    spec = importlib.util.spec_from_file_location("make_results", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _bench(folder, source, plp):
    folder.mkdir(exist_ok=True)
    row = {"test/plp": plp, "test/plp/std": 0.0, "test/plp/seeds": 1}
    found = {"data_source": source, "command": f"tpl bench data.cache={source}.h5", "rows": {"linear rescaling": row}}
    (folder / "bench.json").write_text(json.dumps(found))
    return str(folder)


def test_a_table_whose_folder_is_not_given_stays(tmp_path, monkeypatch):
    module = _module()
    monkeypatch.setattr(module, "HERE", tmp_path)
    module.main([_bench(tmp_path / "abl", "a", 0.5), _bench(tmp_path / "one", "a", 0.6)])
    first = (tmp_path / "results.md").read_text()
    assert first.index("0.600") < first.index("0.500") < first.index("VAVA")  # ablations after methods, then the cited
    module.main([_bench(tmp_path / "two", "b", 0.7), _bench(tmp_path / "one", "a", 0.8)])
    second = (tmp_path / "results.md").read_text()
    assert "0.600" not in second
    assert all(text in second for text in ("`tpl bench data.cache=b.h5`", "0.500", "0.700", "0.800"))
    module.main([str(tmp_path / "two")])
    assert (tmp_path / "results.md").read_text() == second
    assert list(module.tables_of(second)) == ["All methods: a", "All methods: b", f"{module.ABLATIONS}: a"]
