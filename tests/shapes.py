"""Checks the annotations of functions at every call: types by beartype, shapes of tensors by jaxtyping."""

from beartype import BeartypeConf, beartype
from jaxtyping import install_import_hook

__all__ = ["check_shapes", "checked"]

_ROOMS = ("functional", "nn", "metrics")

checked = beartype(conf=BeartypeConf(is_pep484_tower=True))  # a whole number is a float


def check_shapes():
    """Have the functions of these rooms checked, to be called before they are imported."""
    install_import_hook([f"tpl_lightning.{room}" for room in _ROOMS], f"{__name__}.checked")
