"""What was typed after ``key=``, read by the type of the option: text stays as it is, numbers and lists are read.

YAML would make 7 of 007, a date of 2024-01-01, true of yes, and cut a path at " #".
"""

import dataclasses
import os
import re
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from tpl_lightning.errors import UserError

_ENVIRONMENT = re.compile(r"\$\{oc\.env:([^,}]+)(?:,([^}]*))?\}")
_NULL = ("null", "None")  # sweep agents write the latter
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "y", "1"), True),
    **dict.fromkeys(("false", "no", "off", "n", "0"), False),
}


def field_type(options: type, key: str) -> Any:
    """Return the type of a dotted key in a tree of dataclasses, None where there is no such key."""
    kind: Any = options
    for name in key.split("."):
        if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
            return None
        kind = get_type_hints(kind).get(name)
    return kind


def read_typed(text: str, kind: Any, *, null: bool = True) -> Any:
    """Read a value.

    Args:
        text: What was typed. ``${oc.env:NAME}`` and ``${oc.env:NAME,DEFAULT}`` stand for variables of the environment.
        kind: The type of the option.
        null: Whether ``null`` and ``None`` mean no value where the option may be empty.

    Raises:
        ValueError: If the text is no such value; says what was expected.
        UserError: If a variable of the environment is not set.
    """
    if get_origin(kind) in (Union, UnionType):
        kinds = [one for one in get_args(kind) if one is not NoneType]
        empty = text in ("", *_NULL) or (text == "~" and str not in kinds)
        if empty and null and NoneType in get_args(kind):
            return None
        # A number or a list of numbers, say: brackets tell.
        is_list = text.strip().startswith("[")
        return read_typed(text, next((one for one in kinds if (get_origin(one) is list) == is_list), kinds[0]))
    if kind is str or get_origin(kind) is Literal:
        value = _ENVIRONMENT.sub(_variable, text)
        if kind is not str and value not in get_args(kind):
            raise ValueError(f"expected one of {', '.join(get_args(kind))}, but got {value!r}")
        return value
    if get_origin(kind) is list:
        return [read_typed(item, get_args(kind)[0]) for item in _items(text)]
    readers = {bool: _boolean, int: _integer, float: _number}
    if kind not in readers:
        raise ValueError(f"expected a key below it, but got {text!r}")
    try:
        return readers[kind](_unquoted(text.strip()))  # type: ignore[operator]
    except ValueError:
        names = {bool: "true or false", int: "a whole number", float: "a number"}
        raise ValueError(f"expected {names[kind]}, but got {text!r}") from None


def escaped(tree: Any) -> Any:
    """Return nested dictionaries and lists in which OmegaConf takes every text as it stands."""
    if isinstance(tree, dict):
        return {key: escaped(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [escaped(value) for value in tree]
    if isinstance(tree, str):
        return re.sub(r"(\\*)\$\{", lambda found: found[1] * 2 + "\\${", tree)
    return tree


def _variable(found: "re.Match[str]") -> str:
    value = os.environ.get(found[1].strip(), found[2])
    if value is None:
        raise UserError(f"{found[0]}: there is no variable {found[1]} in the environment; set it, or write the value.")
    return value.strip()


def _boolean(text: str) -> bool:
    if text.lower() not in _BOOLEANS:
        raise ValueError(text)
    return _BOOLEANS[text.lower()]


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        value = float(text)  # 1e2
        if "." in text or not value.is_integer():
            raise
        return int(value)


def _number(text: str) -> float:
    return float(text.replace(".nan", "nan").replace(".inf", "inf"))  # the latter are YAML's


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"" else text


def _items(text: str) -> list[str]:
    """Split ``[a, 'b, c', [d]]`` at the commas that are neither in quotes nor in brackets."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        raise ValueError(f"expected a list as [a,b], but got {text!r}")
    items, depth, quote, start = [], 0, "", 1
    for place, letter in enumerate(text[1:-1], start=1):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"" and not text[start:place].strip():
            quote = letter
        elif letter in "[{":
            depth += 1
        elif letter in "]}":
            depth -= 1
        elif letter == "," and depth == 0:
            items.append(text[start:place])
            start = place + 1
    items.append(text[start:-1])
    return [] if items == [text[1:-1]] and not items[0].strip() else [_unquoted(item.strip()) for item in items]
