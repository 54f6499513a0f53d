"""Help text of the options, read from the dataclasses themselves: their defaults, and the string below each field."""

import ast
import inspect
import textwrap
from dataclasses import fields, is_dataclass
from typing import Any

from tpl_lightning.config import load_config

__all__ = ["field_docs", "option_lines", "options_help", "usage_of"]

_NETWORK_SIZES = ("hidden", "kernel_size", "aligner_filters", "aligner_depth", "dropout", "prototype_length")
# Options that some rows of the benchmark alone have: the methods that read them.
_ROWS: dict[str, tuple[str, ...]] = {
    "head": ("tcc", "lav"),
    "dtan": ("dtan",),
    "dtw": ("dba", "softdba"),
    **dict.fromkeys((f"model.{name}" for name in _NETWORK_SIZES), ("tpl", "dtan")),
    "bench": ("bench",),
}


_INDENT = 25  # columns ahead of what an option means


def usage_of(doc: str | None) -> str:
    """Return how a command is called: what follows the first paragraph of the docstring of its module."""
    return (doc or "").partition("\n\n")[2]


def field_docs(cls: type) -> dict[str, str]:
    """Return the string below each field in the source of the class itself."""
    body = ast.parse(inspect.getsource(cls)).body[0]
    assert isinstance(body, ast.ClassDef)
    docs: dict[str, str] = {}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            value = getattr(following, "value", None)
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                docs[statement.target.id] = " ".join(value.value.split())
    return docs


def option_lines(options: type) -> str:
    """Return a line per option of a command, ``key=default`` and what it means; its own before those that it shares."""
    docs = {name: text for cls in options.__mro__ if is_dataclass(cls) for name, text in field_docs(cls).items()}
    known, lines = {item.name: item for item in fields(options)}, ["options (key=default):"]
    for name, text in docs.items():
        item = known[name]
        default = "null" if item.default is None else str(item.default)
        key = f"{item.metadata.get('key', name)}={default.lower() if item.type is bool else default}"
        indent = " " * _INDENT
        lines += textwrap.wrap(text, 120, initial_indent=f"  {key:<{_INDENT - 3}} ", subsequent_indent=indent)
    return "\n".join(lines) + "\n"


def _lines(group: Any, prefix: str, row: str) -> list[str]:
    docs, lines = field_docs(type(group)), []
    for item in fields(group):
        key, value = f"{prefix}{item.name}", getattr(group, item.name)
        if row not in _ROWS.get(key, (row,)):
            continue
        if is_dataclass(value):
            lines += _lines(value, f"{key}.", row)
        else:
            shown = f"{key}={'null' if value is None else value}"
            lines.append(f"  {shown:<32} {docs.get(item.name, '')}")
    return lines


def options_help(arguments: list[str], row: str | None = None) -> str:
    """Return one line per key: name, value, meaning.

    Args:
        arguments: YAML files and ``key=value`` that are laid over the defaults; ``method=NAME`` shows what it reads.
        row: Whose options are shown beside those of all; None: those of the method.
    """
    config = load_config(arguments)
    others = ", ".join(sorted({name for names in _ROWS.values() for name in names} - {"bench"}))
    note = (
        f"The rows {others} have further options: tpl fit method=NAME --help; those of the benchmark: tpl bench --help."
    )
    return "\n".join(["options (key=value):", *_lines(config, "", row or config.method), note])
