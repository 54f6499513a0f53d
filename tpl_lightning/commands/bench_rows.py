"""The rows of ``tpl bench``: what each is called and what it changes in the configuration."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tpl_lightning.config import read_yaml
from tpl_lightning.errors import UserError

# Methods of which a variant can be asked for: the key that it sets, and of what type it is.
_VARIANTS: dict[str, tuple[str, str, type]] = {"softdba": ("dtw", "gamma", float), "dtan": ("dtan", "objective", str)}
_DETERMINISTIC = ("linear", "pad", "dba", "softdba", "direct")
_OBJECTIVES = {
    "linear": "none",
    "pad": "none",
    "dba": "DTW",
    "softdba": "soft-DTW",
    "dtan": "",
    "tpl": "ICAE + reconstruction",
    "direct": "ICAE in feature space + prior",
    "tpl_plus": "ICAE + reconstruction",
    "tcc": "cycle-back regression",
    "lav": "soft-DTW + contrast",
}
_DTAN_OBJECTIVES = {"wcss": "WCSS", "wcss_prior": "WCSS + smoothness prior", "icae": "ICAE"}


@dataclass(frozen=True)
class BenchRow:
    """One row.

    Attributes:
        name: As asked for.
        folder: Its run directories begin with this.
        overrides: Nested options that make the row.
        deterministic: Whether seeds change nothing.
    """

    name: str
    folder: str
    overrides: dict[str, Any]
    deterministic: bool

    @property
    def method(self) -> str:
        """Return the aligner."""
        return str(self.overrides["method"])

    def objective(self, tree: dict[str, Any]) -> str:
        """Return what is minimised, given the whole configuration of the row."""
        if self.method == "dtan":
            return _DTAN_OBJECTIVES[tree["dtan"]["objective"]]
        if self.method == "tpl" and tree["loss"]["reconstruction"] == 0:
            return "ICAE"
        return _OBJECTIVES[self.method]


def bench_rows(names: Sequence[str], default_method: str) -> list[BenchRow]:
    """Read all names.

    Raises:
        UserError: As :func:`bench_row`; and if two rows would lie in the same place.
    """
    rows: dict[str, BenchRow] = {}
    for name in names:
        try:
            row = bench_row(name, default_method)
        except UserError as error:
            raise UserError(f"bench.methods: {error}") from error
        other = rows.setdefault(row.folder, row)
        if other is not row:
            raise UserError(f"bench.methods: {other.name!r} and {name!r} would be one row, {row.folder!r}; rename one.")
    return list(rows.values())


def bench_row(name: str, default_method: str) -> BenchRow:
    """Read a name such as ``direct``, ``softdba:0.1``, ``tpl+refined`` or ``ablations/decoder.yaml``.

    Raises:
        UserError: If there is no such variant or file, or the file is no YAML mapping.
    """
    if name.endswith((".yaml", ".yml")):
        overrides = {"method": default_method, **read_yaml(Path(name))}
        is_seeded = overrides["method"] not in _DETERMINISTIC or "seed" in overrides
        return BenchRow(name, Path(name).stem, overrides, not is_seeded)
    base, refined = name.removesuffix("+refined"), name.endswith("+refined")
    method, _, variant = base.partition(":")
    overrides = {"method": method, "refine": refined or None}
    if variant:
        if method not in _VARIANTS:
            raise UserError(f"{name!r}: there are variants of {' and '.join(_VARIANTS)} alone.")
        section, key, kind = _VARIANTS[method]
        try:
            overrides[section] = {key: kind(variant)}
        except ValueError:
            raise UserError(f"{name!r}: expected a number after the colon, but got {variant!r}.") from None
    return BenchRow(name, name.replace(":", "-"), overrides, method in _DETERMINISTIC)
