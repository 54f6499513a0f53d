"""Imports point down only: commands > aligners > lit > ... > functional > config."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "tpl_lightning"
# A module may import from its own level and from those below (larger number = higher).
LEVELS = {
    "__init__": 0,
    "errors": 0,
    "files": 1,
    "config": 1,
    "functional": 2,
    "groupwise": 3,
    "nn": 3,
    "metrics": 3,
    "data": 3,
    "video": 3,
    "labels": 4,
    "evaluation": 4,
    "tracking": 4,
    "features": 5,
    "synthetic": 6,
    "datasets": 7,
    "lit": 5,
    "aligners": 6,
    "recognition": 6,
    "reports": 7,
    "runs": 7,
    "sync": 8,
    "viewer": 8,
    "sweep": 8,
    "api": 8,
    "commands": 9,
    "__main__": 10,
}


def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tpl_lightning."):
            names.add(node.module.split(".")[1])
        elif isinstance(node, ast.ImportFrom) and node.module == "tpl_lightning":
            names |= {alias.name for alias in node.names} & LEVELS.keys()  # a whole room
        elif isinstance(node, ast.Import):
            names |= {a.name.split(".")[1] for a in node.names if a.name.startswith("tpl_lightning.")}
    return names


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path):
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for name in _imports(path):
        assert LEVELS[name] <= LEVELS[own], f"{path.name} ({own}) imports {name}, which lies above it"
