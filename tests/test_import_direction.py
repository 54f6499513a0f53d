"""Imports point down only: commands > aligners > lit > ... > functional > config."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "tpl_lightning"
# A module may import from its own level and from those below (larger number = higher).
LEVELS = {
    "__init__": 0,
    "errors": 0,
    "names": 0,
    "whole_file": 0,
    "outputs": 1,
    "broken": 2,
    "options": 1,
    "config": 1,
    "checkpoint_file": 1,
    "functional": 2,
    "nn": 3,
    "metrics": 3,
    "data": 3,
    "alignment": 3,
    "evaluation": 4,
    "quality": 4,
    "tracking": 4,
    "lit": 5,
    "aligners": 6,
    "report": 7,
    "run_videos": 7,
    "sync": 7,
    "viewer": 7,
    "figures": 7,
    "snapshots": 7,
    "sweep": 7,
    "run_directory": 7,
    "commands": 8,
    "__main__": 9,
}


def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tpl_lightning."):
            names.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            names |= {a.name.split(".")[1] for a in node.names if a.name.startswith("tpl_lightning.")}
    return names


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in _imports(path):
        assert LEVELS[name] <= LEVELS[own], f"{path.name} ({own}) imports {name}, which lies above it"
