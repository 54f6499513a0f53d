"""How a group of options says that a value is out of range."""

import difflib
from collections.abc import Iterable

from tpl_lightning.errors import UserError

__all__ = ["near_miss", "require"]


def require(condition: bool, key: str, expected: str, found: object) -> None:
    """Check a value.

    Raises:
        UserError: If the condition does not hold; names the key, what was expected, and the way out.
    """
    if not condition:
        raise UserError(f"Expected `{key}` to be {expected}, but got {found!r}; set it with {key}=VALUE.")


def near_miss(key: str, known: Iterable[str]) -> str:
    """Return `` (did you mean `x`?)`` for the key that was probably meant, or nothing."""
    near = difflib.get_close_matches(key, list(known), n=1, cutoff=0.7)
    return f" (did you mean `{near[0]}`?)" if near else ""
