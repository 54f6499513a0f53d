"""Small faults put into functional/ and metrics/, one at a time: which does no test notice?

Usage: python benchmarks/mutants.py [--count 300] [--seed 0] [--rooms functional metrics] [--only kendall] [--part 0/2]

A fault is an operator, a comparison or a number that is another. A module is tested by its examples and the file that
mirrors it, then by those tests of the rooms that name what it exports; by all of its room where there are none. Prints
the faults that were not noticed, and the share of those that were; some change nothing that could be noticed.
"""

import argparse
import ast
import copy
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[1]
SECONDS = 120  # in which the tests of a module must end without a fault
SLOWER = 4  # times as long, and the tests with a fault do not end: it is noticed
WAITING = 20  # times as long on the clock
_ROOMS = ("functional", "metrics")
_NOT_ALONE = ("difw_backend", "__init__")  # compiled; nothing in it
_PROCESSES = ("test_ddp", "test_distributed")  # which start processes: of their own modules only, or it takes days
_OTHER: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
    ast.MatMult: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
_NAMES = {"min": "max", "max": "min", "zeros": "ones", "ones": "zeros", "floor": "ceil", "sum": "mean", "mean": "sum"}


def _places(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what runs: no annotations, no words of errors, no doors."""
    if isinstance(node, ast.Raise | ast.Assert | ast.AnnAssign) or (
        isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    ):
        return
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _places(child)


def _change(node: ast.AST) -> bool:
    """Put a fault into a node, if it is of a kind that can have one."""
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in _OTHER:
        node.op = _OTHER[type(node.op)]()  # type: ignore[assignment]
    elif isinstance(node, ast.Compare) and type(node.ops[0]) in _OTHER:
        node.ops[0] = _OTHER[type(node.ops[0])]()
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        node.value = not node.value
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        node.value = node.value + 1 if isinstance(node.value, int) else 2 * node.value or 1.0
    elif isinstance(node, ast.Attribute) and node.attr in _NAMES:
        node.attr = _NAMES[node.attr]
    elif isinstance(node, ast.Name) and node.id in _NAMES:
        node.id = _NAMES[node.id]
    else:
        return False
    return True


def faults(source: str) -> list[int]:
    """Return the places of a source that can have a fault."""
    return [number for number, node in enumerate(_places(ast.parse(source))) if _change(copy.deepcopy(node))]


def with_fault(source: str, place: int) -> tuple[int, str, str]:
    """Return line, what it becomes, and the whole faulty source."""
    tree = ast.parse(source)
    node = list(_places(tree))[place]
    _change(node)
    statement = next(
        part for part in reversed(list(ast.walk(tree))) if isinstance(part, ast.stmt) and _holds(part, node)
    )
    return getattr(node, "lineno", 0), ast.unparse(statement).splitlines()[0][:110], ast.unparse(tree)


def _holds(part: ast.stmt, node: ast.AST) -> bool:
    return any(child is node for child in ast.walk(part))


def tests_of(module: Path, rooms: list[str]) -> list[str]:
    """Return what tests a module, relative to the root, in the order in which it is likely to fail."""
    inside = module.relative_to(ROOT / "tpl_lightning")
    dotted = ".".join(["tpl_lightning", *inside.with_suffix("").parts])
    examples = [f"tests/test_doctests.py::test_examples_are_true[{dotted}]"] if ">>> " in module.read_text() else []
    mirror = ROOT / "tests" / inside.parent / f"test_{inside.name}"
    names = [
        node.name
        for node in ast.parse(module.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    wanted = re.compile(rf"\b({'|'.join(names) or '(?!)'})\b")
    every = [path for room in rooms for path in sorted((ROOT / "tests" / room).rglob("test_*.py"))]
    found = [path for path in every if path == mirror or wanted.search(path.read_text())]
    found = [path for path in found if path == mirror or path.stem not in _PROCESSES]
    found.sort(key=lambda path: path != mirror)
    return [*examples, *([str(path.relative_to(ROOT)) for path in found] or [f"tests/{inside.parts[0]}"])]


def notices(folder: Path, tests: list[str], seconds: float) -> tuple[bool, float]:
    """Tell whether the tests fail in a copy of the project, or do not end in time, and the seconds that they worked.

    They run in a fork, which has imported the heavy parts. Time is that of the processor: others may work, too.
    """
    process = os.fork()
    if process == 0:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time() + seconds), int(time.process_time()) + 9999))
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        import pytest

        os._exit(int(pytest.main(["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", *tests])))
    deadline = time.monotonic() + WAITING * seconds  # of tests that wait for each other for ever
    while time.monotonic() < deadline:
        done, status, used = os.wait4(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) != 0, used.ru_utime + used.ru_stime
        time.sleep(0.05)
    os.killpg(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return True, seconds


def main() -> None:
    """Try a random sample."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rooms", nargs="+", default=list(_ROOMS))
    parser.add_argument("--only", default="", help="modules whose paths hold this")
    parser.add_argument("--part", default="0/1", help="1/2: the second half of the sample, beside another process")
    options = parser.parse_args()
    sys.dont_write_bytecode = True
    for name in (
        "h5py",
        "hypothesis",
        "lightning",
        "pytest",
        "sklearn.linear_model",
        "torchmetrics",
        "tslearn.metrics",
    ):
        import_module(name)  # once, for all forks

    modules = [path for room in options.rooms for path in sorted((ROOT / "tpl_lightning" / room).rglob("*.py"))]
    modules = [path for path in modules if path.stem not in _NOT_ALONE and options.only in str(path)]
    every = [(module, place) for module in modules for place in faults(module.read_text())]
    chosen = random.Random(options.seed).sample(every, min(options.count, len(every)))
    part, parts = map(int, options.part.split("/"))
    chosen = chosen[part::parts]
    noticed, left = 0, []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for name in ("tpl_lightning", "tests", "pyproject.toml"):
            source = ROOT / name
            without = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source, folder / name, ignore=without) if source.is_dir() else shutil.copy(source, folder)
        limits: dict[Path, float] = {}  # seconds for the tests of a module with a fault; 0 where they fail without
        for number, (module, place) in enumerate(chosen):
            name, tests = module.relative_to(ROOT), tests_of(module, options.rooms)
            if module not in limits:
                fails, seconds = notices(folder, tests, SECONDS)
                limits[module] = 0 if fails else 10 + SLOWER * seconds
                if fails:
                    print(f"{name}: its tests fail, or take over {SECONDS} s, without a fault", flush=True)
            if not limits[module]:
                continue
            line, text, faulty = with_fault(module.read_text(), place)
            (folder / name).write_text(faulty)
            found, _ = notices(folder, tests, limits[module])
            shutil.copy(module, folder / name)
            noticed += found
            if not found:
                left.append(f"{name}:{line}: {text}")
                print(left[-1], flush=True)
            print(f"{number + 1}/{len(chosen)}: {noticed} noticed, {len(left)} not", end="\r", file=sys.stderr)
    tried = noticed + len(left)
    print(f"{noticed} of {tried} faults noticed ({noticed / max(tried, 1):.0%}); {len(every)} can be made")


if __name__ == "__main__":
    main()
