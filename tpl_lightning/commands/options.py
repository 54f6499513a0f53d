"""Help text of the options, read from the dataclasses themselves."""

import ast
import inspect
from dataclasses import MISSING, fields, is_dataclass

from tpl_lightning.config import Config

__all__ = ["field_docs", "options_help"]


def field_docs(cls: type) -> dict[str, str]:
    """Return the string below each field in the source."""
    body = ast.parse(inspect.getsource(cls)).body[0]
    assert isinstance(body, ast.ClassDef)
    docs: dict[str, str] = {}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            value = getattr(following, "value", None)
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                docs[statement.target.id] = value.value
    return docs


def _lines(cls: type, prefix: str) -> list[str]:
    docs, lines = field_docs(cls), []
    for item in fields(cls):
        default = item.default if item.default_factory is MISSING else item.default_factory()
        if is_dataclass(default):
            lines += _lines(type(default), f"{prefix}{item.name}.")
        else:
            shown = "null" if default is None else default
            lines.append(f"  {f'{prefix}{item.name}={shown}':<32} {docs.get(item.name, '')}")
    return lines


def options_help() -> str:
    """Return one line per key: name, default, meaning."""
    return "\n".join(["options (key=default):", *_lines(Config, "")])
