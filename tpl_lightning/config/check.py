"""How a group of options says that a value is out of range."""

import difflib
from collections.abc import Iterable

from tpl_lightning.errors import UserError


def require(condition: bool, key: str, expected: str, found: object) -> None:
    """Check a value.

    Raises:
        UserError: If the condition does not hold; names the key, what was expected, and the way out.
    """
    if not condition:
        raise UserError(f"Expected `{key}` to be {expected}, but got {found!r}; set it with {key}=VALUE.")


def check_limits(group: object, prefix: str = "", **limits: tuple[float, float | None]) -> None:
    """Check that options of a group, where they are given, lie between two limits; the upper one may be missing.

    Raises:
        UserError: As :func:`require`, for the key with the prefix.
    """
    for name, (low, high) in limits.items():
        value = getattr(group, name)
        expected = f"at least {low}" if high is None else f"in {low}..{high}"
        require(value is None or (low <= value and (high is None or value <= high)), prefix + name, expected, value)


def near_miss(key: str, known: Iterable[str]) -> str:
    """Return `` (did you mean `x`?)`` for the key that was probably meant, or nothing."""
    near = difflib.get_close_matches(key, list(known), n=1, cutoff=0.7)
    return f" (did you mean `{near[0]}`?)" if near else ""
