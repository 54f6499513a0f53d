"""Docstrings for the site: Sphinx roles and double backticks become plain code."""

import re
from typing import Any

import griffe

__all__ = ["Roles", "plain_code"]


def plain_code(text: str) -> str:
    """Return a docstring as Markdown: ``:func:`~a.b.c` `` becomes `c`, and doubled backticks single ones."""
    text = re.sub(r":(?:func|class|meth|attr|mod|data|obj):`~[\w.]*?(\w+)`", r"`\1`", text)
    text = re.sub(r":(?:func|class|meth|attr|mod|data|obj):`([\w.]+)`", r"`\1`", text)
    text = re.sub(r"^Example:$", "Examples:", text, flags=re.MULTILINE)  # the name by which griffe knows them
    # griffe takes what stands behind the first of several names for its type.
    text = re.sub(r"^( {4,})(\w+(?:, \w+)+): (.*)$", _one_each, text, flags=re.MULTILINE)
    return re.sub(r"(?<!`)``(?!`)(.+?)(?<!`)``(?!`)", r"`\1`", text, flags=re.DOTALL)


def _one_each(match: re.Match[str]) -> str:
    indent, names, meaning = match.groups()
    return "\n".join(f"{indent}{name}: {meaning}" for name in names.split(", "))


class Roles(griffe.Extension):
    """Rewrites the docstring of every object that is loaded."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Rewrite one."""
        if obj.docstring:
            obj.docstring.value = plain_code(obj.docstring.value)
