"""How a group of options says that a value is out of range."""

from tpl_lightning.errors import UserError

__all__ = ["require"]


def require(condition: bool, key: str, expected: str, found: object) -> None:
    """Check a value.

    Raises:
        UserError: If the condition does not hold; names the key, what was expected, and the way out.
    """
    if not condition:
        raise UserError(f"Expected `{key}` to be {expected}, but got {found!r}; set it with {key}=VALUE.")
