"""The examples in docstrings give what they say, and every public function and class of these rooms has one."""

import ast
import doctest
import inspect
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

PACKAGE = Path(__file__).parent.parent / "tpl_lightning"
NAMES = {"np": np, "torch": torch}  # as most modules have
ROOMS = (
    "functional",
    "functional.losses",
    "functional.scores",
    "functional.warps",
    "nn",
    "metrics",
    "data",
    "aligners",
    "api",
)


def _module(path):
    return ".".join(["tpl_lightning", *path.relative_to(PACKAGE).with_suffix("").parts])


MODULES = [_module(path) for path in sorted(PACKAGE.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    module = import_module(name)
    runner = doctest.DocTestRunner(optionflags=doctest.REPORT_ONLY_FIRST_FAILURE)
    for found in doctest.DocTestFinder(exclude_empty=True).find(module, extraglobs=NAMES):
        runner.run(found)
    assert runner.summarize(verbose=False).failed == 0
    assert runner.tries > 0 or name.endswith("difw_backend")  # which takes half a minute to build


@pytest.mark.parametrize("room", ROOMS)
def test_every_public_name_has_an_example(room):
    stub = ast.parse((PACKAGE / room.replace(".", "/") / "__init__.pyi").read_text(encoding="utf-8"))
    public = next(ast.literal_eval(node.value) for node in stub.body if isinstance(node, ast.Assign))
    door = import_module(f"tpl_lightning.{room}")
    without = [
        name
        for name in public
        if (inspect.isclass(getattr(door, name)) or inspect.isfunction(getattr(door, name)))
        and getattr(door, name).__module__.startswith("tpl_lightning")  # not jaxtyping's
        and ">>> " not in (getattr(door, name).__doc__ or "")
    ]
    assert without == []
