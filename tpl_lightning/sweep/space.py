"""Parameters of a sweep: W&B's distributions, and how Optuna draws from them."""

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tpl_lightning.errors import UserError

if TYPE_CHECKING:
    from optuna import Trial

_RANGES = {
    "int_uniform": {"whole": True},
    "uniform": {},
    "q_uniform": {"quantised": True},
    "log_uniform": {"log": True, "exponents": True},
    "log_uniform_values": {"log": True},
    "q_log_uniform_values": {"log": True, "quantised": True},
}
"""Distribution to what is special about it. W&B's log_uniform takes the natural logarithms of its limits."""
_ROUNDING = 1e-9  # of a limit that is a multiple of the step but for floating point
_KNOWN = ("constant", "categorical", *_RANGES)
_KEYS = {"value", "values", "distribution", "min", "max", "q"}


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
    def is_constant(self) -> bool:
        """Tell whether there is but one value."""
        return len(self.choices) == 1

    @property
    def multiples(self) -> range | None:
        """Return the values of a range, counted in steps; None where there is no end to them."""
        if self.step is None:
            return None
        first, last = self.low / self.step - _ROUNDING, self.high / self.step + _ROUNDING
        return range(math.ceil(first), math.floor(last) + 1)

    def suggest(self, trial: "Trial") -> Any:
        """Draw a value."""
        if self.is_constant:
            return self.choices[0]
        if self.choices:
            # As text: Optuna stores no lists, and tells 1 from True and 1.0 by their text.
            return json.loads(trial.suggest_categorical(self.name, [json.dumps(value) for value in self.choices]))
        steps = self.multiples
        if steps is None or self.log:
            drawn = trial.suggest_float(self.name, self.low, self.high, log=self.log)
            return drawn if steps is None else self._value(min(max(self.encode(drawn), steps[0]), steps[-1]))
        return self._value(trial.suggest_int(self.name, steps[0], steps[-1]))

    def encode(self, value: Any) -> Any:
        """Return what Optuna knows a value of :meth:`grid` by."""
        return json.dumps(value) if self.choices else round(value / (self.step or 1))

    def _value(self, count: int) -> float | int:
        """Return so many steps, without the noise of floating point."""
        assert self.step is not None
        return count * self.step if isinstance(self.step, int) else round(count * self.step, 12)

    @property
    def count(self) -> float:
        """Return the number of values, infinity where there is no end to them."""
        if self.choices:
            return len(self.choices)
        return math.inf if self.log or self.multiples is None else len(self.multiples)

    def grid(self) -> list[Any]:
        """Return all values.

        Raises:
            UserError: If there is no end to them.
        """
        if self.choices:
            return list(self.choices)
        if self.log or self.multiples is None:
            raise UserError(
                f"parameter `{self.name}`: a grid needs `values`, integers or `q_uniform`; list its values."
            )
        return [self._value(k) for k in self.multiples]

    def probes(self) -> list[Any]:
        """Return the values that are checked before a sweep begins: all that are listed, or both limits."""
        if self.choices:
            return list(self.choices)
        steps = self.multiples
        return [self.low, self.high] if steps is None else [self._value(steps[0]), self._value(steps[-1])]


def as_argument(name: str, value: Any) -> str:
    """Write ``key=value`` as an agent of W&B does, and null as YAML does."""
    return f"{name}={'null' if value is None else value}"


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _number(spec: dict[str, Any], key: str, name: str) -> float:
    value = spec.get(key)
    if isinstance(value, str):  # YAML reads 1e-3 as text
        try:
            value = float(value)
        except ValueError:
            value = None
    if not _is_number(value):
        raise UserError(f"parameter `{name}`: expected a number in `{key}`, but got {spec.get(key)!r}.")
    assert value is not None
    return value


def _kind(spec: dict[str, Any], name: str) -> str:
    """Return the distribution, named or by W&B's rules."""
    given = spec.get("distribution")
    if given is not None:
        if given not in _KNOWN:
            raise UserError(f"parameter `{name}`: distribution {given!r} is not known here; use {', '.join(_KNOWN)}.")
        return str(given)
    if "value" in spec:
        return "constant"
    if "values" in spec:
        return "categorical"
    if "min" in spec and "max" in spec:
        low, high = _number(spec, "min", name), _number(spec, "max", name)
        return "int_uniform" if isinstance(low, int) and isinstance(high, int) else "uniform"
    raise UserError(f"parameter `{name}`: expected `value`, `values`, or `min` and `max`, but got {sorted(spec)}.")


def read_parameter(name: str, spec: Any) -> Parameter:
    """Read one entry under ``parameters``.

    Args:
        name: Its key.
        spec: What stands there.

    Raises:
        UserError: If it is of a kind that is not known here, or not complete.
    """
    if not isinstance(spec, dict):
        raise UserError(
            f"parameter `{name}`: expected `value`, `values`, or `min` and `max` below it, but got {spec!r}."
        )
    if "parameters" in spec:
        raise UserError(f"parameter `{name}`: nested parameters reach no program; write dotted names, `{name}.KEY`.")
    unknown = sorted(set(map(str, spec)) - _KEYS)
    if unknown:
        raise UserError(f"parameter `{name}`: `{unknown[0]}` is not known here; there are: {', '.join(sorted(_KEYS))}.")
    kind = _kind(spec, name)
    if kind == "constant":
        if "value" not in spec:
            raise UserError(f"parameter `{name}`: a constant needs `value`.")
        return Parameter(name, choices=(spec["value"],))
    if kind == "categorical":
        values = spec.get("values")
        if not isinstance(values, list) or not values:
            raise UserError(f"parameter `{name}`: expected a list in `values`, but got {values!r}.")
        unique = {json.dumps(value): value for value in values}
        return Parameter(name, choices=tuple(unique.values()))
    return _read_range(name, spec, **_RANGES[kind])


def _read_range(
    name: str,
    spec: dict[str, Any],
    *,
    whole: bool = False,
    log: bool = False,
    quantised: bool = False,
    exponents: bool = False,
) -> Parameter:
    low, high = _number(spec, "min", name), _number(spec, "max", name)
    if whole and not (float(low).is_integer() and float(high).is_integer()):
        raise UserError(f"parameter `{name}`: expected integers in `min` and `max`, but got {low} and {high}.")
    if exponents:
        low, high = math.exp(low), math.exp(high)
    if not low <= high:
        raise UserError(f"parameter `{name}`: expected `min` below `max`, but got {low} and {high}.")
    if log and low <= 0:
        raise UserError(f"parameter `{name}`: expected `min` above 0 on a logarithmic scale, but got {low}.")
    step: float | None = 1 if whole else None
    if quantised:
        step = _number({"q": 1, **spec}, "q", name)
        if not step > 0:
            raise UserError(f"parameter `{name}`: expected `q` above 0, but got {step}.")
        step = int(step) if float(step).is_integer() else step
    elif "q" in spec:
        raise UserError(f"parameter `{name}`: `q` belongs to q_uniform or q_log_uniform_values.")
    found = Parameter(name, low=low, high=high, log=log, step=step)
    if found.multiples is not None and not found.multiples:
        raise UserError(f"parameter `{name}`: there is no multiple of `q` {step} from {low} to {high}.")
    return found if low < high else Parameter(name, choices=(found.probes()[0],))
