"""Help text of the options, read from the dataclasses themselves: their defaults, and the string below each field."""

import ast
import inspect
import textwrap
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from tpl_lightning.config import Config, load_config

_NETWORK_SIZES = ("hidden", "kernel_size", "aligner_filters", "aligner_depth", "dropout", "prototype_length")
# Options that some rows of the benchmark alone have: the methods that read them.
_ROWS: dict[str, tuple[str, ...]] = {
    "head": ("tcc", "lav"),
    "dtan": ("dtan",),
    "dtw": ("dba", "softdba"),
    **dict.fromkeys((f"model.{name}" for name in _NETWORK_SIZES), ("tpl", "dtan")),
    "bench": ("bench",),
}

_WIDTH, _WIDEST = 22, 32  # of an option and its value


def command_help(name: str, module: Any, arguments: Sequence[str]) -> str:
    """Return the help of a command: what follows the first paragraph of its docstring, and a line per option.

    Args:
        name: The command.
        module: Its module, which may have a dataclass ``OPTIONS``.
        arguments: What was typed beside ``--help``.
    """
    usage, options = module.__doc__.partition("\n\n")[2], getattr(module, "OPTIONS", None)
    if options is Config:
        return str(usage + "\n" + options_help(arguments, row="bench" if name == "bench" else None))
    return str(usage if options is None else usage + option_lines(options))


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


def _line(key: str, value: Any, text: str, width: int) -> list[str]:
    shown = "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    first, indent = f"  {f'{key}={shown}':<{width}} ", " " * (width + 3)
    if len(first) > 2 * len(indent):  # a long list
        return [first.rstrip(), *textwrap.wrap(text, 120, initial_indent=indent, subsequent_indent=indent)]
    return textwrap.wrap(text, 120, initial_indent=first, subsequent_indent=indent)


def option_lines(options: type) -> str:
    """Return a line per option of a command, ``key=default`` and what it means; its own before those that it shares."""
    docs = {name: text for cls in options.__mro__ if is_dataclass(cls) for name, text in field_docs(cls).items()}
    known, lines = {item.name: item for item in fields(options)}, ["options (key=default):"]
    for name, text in docs.items():
        lines += _line(known[name].metadata.get("key", name), known[name].default, text, _WIDTH)
    return "\n".join(lines) + "\n"


def _lines(group: Any, prefix: str, row: str) -> list[str]:
    docs, lines = field_docs(type(group)), []
    for item in fields(group):
        key, value = f"{prefix}{item.name}", getattr(group, item.name)
        if row in _ROWS.get(key, (row,)):
            is_group = is_dataclass(value)
            lines += _lines(value, f"{key}.", row) if is_group else _line(key, value, docs.get(item.name, ""), _WIDEST)
    return lines


def options_help(arguments: Sequence[str], row: str | None = None) -> str:
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
