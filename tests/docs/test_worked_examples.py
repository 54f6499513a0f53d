"""The worked examples of docs/architecture: applied to a copy of the package, and their tests run there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "architecture").glob("add_*.md"))
BLOCK = re.compile(r'^```(\w+) title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def apply(page, root):
    """Write the files of a page, and make its changes; return its tests."""
    tests = []
    for kind, name, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        path = root / name
        if kind == "diff":
            lines = text.splitlines(keepends=True)
            # Without the last line's end: the line may go on in the file.
            before = "".join(line[1:] for line in lines if line[0] in " -").rstrip()
            after = "".join(line[1:] for line in lines if line[0] in " +").rstrip()
            source = path.read_text()
            assert source.count(before) == 1, f"{page.name}: {name}: {source.count(before)} places like\n{before}"
            path.write_text(source.replace(before, after))
        else:
            assert not path.exists(), f"{page.name}: {name} is there already"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            tests += [name] if name.startswith("tests/") else []
    return tests


def test_there_is_a_page_for_each_kind_of_part():
    assert [page.stem for page in PAGES] == ["add_a_metric", "add_an_aligner", "add_an_extractor", "add_an_importer"]


def test_what_the_pages_say_works(tmp_path):
    pytest.importorskip("av")
    shutil.copytree(ROOT / "tpl_lightning", tmp_path / "tpl_lightning", ignore=shutil.ignore_patterns("__pycache__"))
    tests = [name for page in PAGES for name in apply(page, tmp_path)]
    assert len(tests) == len(PAGES)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    where = [sys.executable, "-c", "import tpl_lightning; print(tpl_lightning.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    assert Path(found.strip()).is_relative_to(tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--import-mode=importlib", *tests]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
