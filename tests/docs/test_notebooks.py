"""The notebooks run from begin to end, as in a fresh Jupyter."""

import time
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "docs" / "notebooks").glob("*.ipynb"))


def texts(notebook):
    return ["".join(o.get("text", "")) for cell in notebook.cells for o in cell.get("outputs", [])]


def test_both_are_there():
    assert [path.stem for path in NOTEBOOKS] == ["quickstart", "signals"]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(path, 4)
    began = time.monotonic()
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    assert time.monotonic() - began < 180
    data = [kind for cell in notebook.cells for o in cell.get("outputs", []) for kind in o.get("data", {})]
    assert "image/png" in data
    assert not any("\x1b" in text or "Warning" in text for text in texts(notebook))
    if path.stem == "quickstart":
        assert (tmp_path / "synced.mp4").stat().st_size > 10_000
        assert any("<video" in "".join(o.data.get("text/html", "")) for o in notebook.cells[-2].outputs)
