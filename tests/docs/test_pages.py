"""The pages of the site: short, found, and with Python that runs."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

import tpl_lightning
from tests.test_import_direction import LEVELS
from tpl_lightning.__main__ import main

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
GENERATED = {"results.md", "folds.md", "ablation.md"}  # by docs/make_results.py and benchmarks/
PAGES = sorted(DOCS.rglob("*.md"))
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PYTHON = [  # in the order in which a reader would run them, in one folder each
    "README.md",
    "docs/quickstart.md",
    "docs/warps.md",
    "docs/howto/own_embeddings.md",
    "docs/reference/files.md",
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_a_page_is_short(page):
    if page.name not in GENERATED:
        assert len(page.read_text(encoding="utf-8").splitlines()) <= 250


@pytest.mark.parametrize("name", PYTHON)
def test_python_of_a_page_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = BLOCK.findall((ROOT / name).read_text(encoding="utf-8"))
    assert blocks
    names: dict = {}
    for block in blocks:
        exec(compile(block, name, "exec"), names)


def test_the_robots_of_the_page_get_their_progress(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write, read = BLOCK.findall((DOCS / "howto" / "robots.md").read_text(encoding="utf-8"))
    names: dict = {}
    exec(compile(write, "robots.md", "exec"), names)
    assert main(["fit", "data.cache=pick.h5", "run.name=pick", "method=direct", "run.figures=false"]) == 0
    exec(compile(read, "robots.md", "exec"), names)
    assert len(names["progress"]) == 10
    for row in names["progress"]:
        assert 80 <= len(row) < 160
        assert row[0] == 0
        assert row[-1] == 1
        assert np.all(np.diff(row) >= 0)


def test_the_architecture_page_has_every_room_at_its_level():
    page = (DOCS / "architecture" / "index.md").read_text(encoding="utf-8")
    shown = {name: int(level) for level, name in re.findall(r"^\| (\d+) \| `(\w+)` \|", page, re.MULTILINE)}
    assert shown == {name: level for name, level in LEVELS.items() if name != "__init__"}


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "data/README.md"])
def test_links_of_a_page_outside_of_the_site_lead_somewhere(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = [target for target in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in target]
    assert targets or name == "SECURITY.md"
    assert [target for target in targets if not (ROOT / name).parent.joinpath(target).exists()] == []


def test_the_moving_picture_is_small():
    assert 10_000 < (DOCS / "images" / "moving.webp").stat().st_size < 2 * 1024**2


def test_the_version_stands_in_one_place():
    assert f"## [{tpl_lightning.__version__}]" in (ROOT / "CHANGELOG.md").read_text()
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == tpl_lightning.__version__
    assert [author["family-names"] for author in cited["preferred-citation"]["authors"]] == [
        "Naaman",
        "Shapira Weber",
        "Freifeld",
    ]


def test_workflows_run_what_make_offers():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    assert set(jobs) == {"lint", "tests", "docs", "wheel"}
    assert jobs["tests"]["strategy"]["matrix"]["python"] == ["3.10", "3.11", "3.12", "3.13"]
    runs = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    made = [word for run in runs for word in re.findall(r"\bmake ([a-z-]+)", run)]
    assert {"lint", "test", "docs"} <= set(made) <= targets


def test_the_check_of_links_finds_what_leads_nowhere(tmp_path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html#here">b</a><a href="b.html#gone">b</a><a href="c.html">c</a><a href="https://x.org">x</a>'
        '<img src="no.png"><script src="https://x.org/a.js"></script>'
    )
    (tmp_path / "b.html").write_text('<h2 id="here">b</h2>')
    script = [str(ROOT / "docs" / "check_links.py"), str(tmp_path)]
    done = subprocess.run([sys.executable, *script], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "a.html: b.html#gone: no such anchor",
        "a.html: c.html: no such file",
        "a.html: no.png: no such file",
        "a.html: loads https://x.org/a.js",
        "2 pages, 4 broken links",
    ]
