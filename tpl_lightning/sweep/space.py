"""Parameters of a sweep: W&B's distributions, and how Optuna draws from them."""

import json
import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tpl_lightning.errors import UserError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

# W&B's log_uniform takes the natural logarithms of its limits; q_ are the multiples of `q`.
_RANGES = ("int_uniform", "uniform", "q_uniform", "log_uniform", "log_uniform_values", "q_log_uniform_values")
_DISTRIBUTIONS = ("constant", "categorical", *_RANGES)
_KEYS = ("distribution", "max", "min", "q", "value", "values")
_ROUNDING = 1e-9  # of a limit that is a multiple of the step but for floating point


@dataclass(frozen=True)
class Parameter:
    """One key of the configuration and the values it may take.

    Attributes:
        name: The key, with dots.
        choices: All values, where they are listed; one for a constant.
        low: Least value of a range.
        high: Largest value.
        log: Whether the logarithm is what is spread evenly.
        step: Values are its multiples, integers where it is one; None: any.
    """

    name: str
    choices: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None

    @property
    def multiples(self) -> range:
        """Return the values of a range with a step, counted in steps."""
        step = self.step or 1
        return range(math.ceil(self.low / step - _ROUNDING), math.floor(self.high / step + _ROUNDING) + 1)

    @property
    def codes(self) -> list[Any] | None:
        """Return what Optuna knows all values by, None where there is no end to them.

        Listed values are known by their text: Optuna stores no lists, and 1 is not True. A multiple is known by how
        many steps it is.
        """
        if self.choices:
            return [json.dumps(value) for value in self.choices]
        return None if self.step is None or self.log else list(self.multiples)

    @property
    def distribution(self) -> "BaseDistribution":
        """Return what Optuna draws from."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

        codes = self.codes
        if codes is None:
            return FloatDistribution(self.low, self.high, log=self.log)
        return CategoricalDistribution(codes) if self.choices else IntDistribution(codes[0], codes[-1])

    def value(self, code: Any) -> Any:
        """Return the value that Optuna knows by a code."""
        if self.choices:
            return json.loads(code)
        if self.step is None:
            return code
        steps = self.multiples
        count = min(max(round(code / self.step), steps[0]), steps[-1]) if self.log else code
        return count * self.step if isinstance(self.step, int) else round(count * self.step, 12)  # .3, not .30000000004

    def grid(self) -> list[Any]:
        """Return all values.

        Raises:
            UserError: If there is no end to them.
        """
        if self.codes is None:
            raise UserError(
                f"parameter `{self.name}`: a grid needs `values`, integers or `q_uniform`; list its values."
            )
        return [self.value(code) for code in self.codes]

    def probes(self) -> list[Any]:
        """Return the values that are checked before a sweep begins: all that are listed, or both limits."""
        if self.codes is not None:
            return self.grid() if self.choices else [self.value(self.codes[0]), self.value(self.codes[-1])]
        return [self.value(self.low), self.value(self.high)]


def as_argument(name: str, value: Any) -> str:
    """Write ``key=value`` as an agent of W&B does, and null as YAML does."""
    return f"{name}={'null' if value is None else value}"


def read_parameter(name: str, spec: Any) -> Parameter:
    """Read one entry under ``parameters``.

    Args:
        name: Its key.
        spec: What stands there.

    Raises:
        UserError: If it is of a kind that is not known here, or not complete.
    """
    try:
        expect(isinstance(spec, dict), f"expected `value`, `values`, or `min` and `max` below it, but got {spec!r}.")
        expect("parameters" not in spec, f"nested parameters reach no program; write dotted names, `{name}.KEY`.")
        for key in spec:
            expect(key in _KEYS, f"`{key}` is not known here; there are: {', '.join(_KEYS)}.")
        kind = spec.get("distribution") or _implied(spec)
        expect(kind in _DISTRIBUTIONS, f"distribution {kind!r} is not known here; use {', '.join(_DISTRIBUTIONS)}.")
        if kind in _RANGES:
            return _read_range(name, spec, kind)
        if kind == "constant":
            expect("value" in spec, "a constant needs `value`.")
            return Parameter(name, choices=(spec["value"],))
        values = spec.get("values")
        expect(isinstance(values, list) and bool(values), f"expected a list in `values`, but got {values!r}.")
        return Parameter(name, choices=tuple({json.dumps(value): value for value in values}.values()))
    except UserError as error:
        raise UserError(f"parameter `{name}`: {error}") from error


def expect(condition: bool, message: str) -> None:
    """Raise UserError with the message if a condition does not hold."""
    if not condition:
        raise UserError(message)


def _implied(spec: dict[str, Any]) -> str:
    """Return the distribution that is meant where none is named, by W&B's rules."""
    if "value" in spec:
        return "constant"
    if "values" in spec:
        return "categorical"
    expect({"min", "max"} <= set(spec), f"expected `value`, `values`, or `min` and `max`, but got {sorted(spec)}.")
    return "int_uniform" if isinstance(spec["min"], int) and isinstance(spec["max"], int) else "uniform"


def _read_range(name: str, spec: dict[str, Any], kind: str) -> Parameter:
    low, high = _number(spec, "min"), _number(spec, "max")
    step: float | None = None
    if kind == "int_uniform":
        expect(low % 1 == high % 1 == 0, f"expected integers in `min` and `max`, but got {low} and {high}.")
        step = 1
    if kind == "log_uniform":
        low, high = math.exp(low), math.exp(high)
    log = "log" in kind
    expect(low <= high, f"expected `min` below `max`, but got {low} and {high}.")
    expect(low > 0 or not log, f"expected `min` above 0 on a logarithmic scale, but got {low}.")
    expect(kind.startswith("q_") or "q" not in spec, "`q` belongs to q_uniform or q_log_uniform_values.")
    if kind.startswith("q_"):
        q = _number({"q": 1, **spec}, "q")
        expect(q > 0, f"expected `q` above 0, but got {q}.")
        step = int(q) if q % 1 == 0 else q
    found = Parameter(name, low=low, high=high, log=log, step=step)
    expect(step is None or len(found.multiples) > 0, f"there is no multiple of `q` {step} from {low} to {high}.")
    return found if low < high else Parameter(name, choices=(found.probes()[0],))


def _number(spec: dict[str, Any], key: str) -> float:
    number: Any = spec.get(key)
    with suppress(ValueError):
        number = float(number) if isinstance(number, str) else number  # YAML reads 1e-3 as text
    is_number = type(number) in (int, float) and math.isfinite(number)
    expect(is_number, f"expected a number in `{key}`, but got {number!r}.")
    return number  # type: ignore[no-any-return]
