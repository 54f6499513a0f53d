"""W&B's distributions, as Optuna draws from them."""

import json

import optuna
import pytest

from tpl_lightning.errors import UserError
from tpl_lightning.sweep.space import read_parameter


def _draws(spec, number=200):
    parameter = read_parameter("x", spec)
    return _drawn(parameter, number)


def _drawn(parameter, number):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    codes = (study.ask({"x": parameter.distribution}).params["x"] for _ in range(number))
    return [parameter.value(code) for code in codes]


def test_distributions_give_what_they_say():
    values = _draws({"values": [1, "a", None, [4, 8]]})
    assert {json.dumps(value) for value in values} == {"1", '"a"', "null", "[4, 8]"}
    assert _draws({"value": [1, 2]}, 2) == [[1, 2], [1, 2]]
    whole = _draws({"min": 2, "max": 5})
    assert set(whole) == {2, 3, 4, 5}
    assert all(type(value) is int for value in whole)
    even = _draws({"min": 0.0, "max": 1.0})
    assert 0 <= min(even) < 0.05
    assert 0.95 < max(even) <= 1
    steps = _draws({"distribution": "q_uniform", "min": 0.1, "max": 0.5, "q": 0.1})
    assert set(steps) == {0.1, 0.2, 0.3, 0.4, 0.5}
    assert set(_draws({"distribution": "q_uniform", "min": 16, "max": 64, "q": 16})) == {16, 32, 48, 64}
    for name, low, high in (("log_uniform_values", 1e-4, 1), ("log_uniform", -9.21034, 0)):
        values = _draws({"distribution": name, "min": low, "max": high})
        assert 1e-4 * 0.999 <= min(values) <= max(values) <= 1
        assert 60 < sum(value < 1e-2 for value in values) < 140  # half of the logarithms
    assert set(_draws({"distribution": "q_log_uniform_values", "min": 8, "max": 64, "q": 8})) <= set(range(8, 65, 8))


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"distribution": "normal", "mu": 0, "sigma": 1}, "mu"),
        ({"distribution": "beta"}, "beta"),
        ({"values": [1, 2], "probabilities": [0.1, 0.9]}, "probabilities"),
        ({"parameters": {"lr": {"value": 1}}}, "dotted"),
        ({"min": 1}, "max"),
        ({"min": 2, "max": 1}, "below"),
        ({"min": "a", "max": 1}, "min"),
        ({"values": []}, "values"),
        ({"distribution": "log_uniform_values", "min": 0, "max": 1}, "above 0"),
        ({"distribution": "int_uniform", "min": 0.5, "max": 2}, "integers"),
        ({"distribution": "q_uniform", "min": 0, "max": 2, "q": 0}, "q"),
        (3, "value"),
    ],
)
def test_what_is_not_known_is_refused_by_name(spec, named):
    with pytest.raises(UserError, match=named) as info:
        read_parameter("train.lr", spec)
    assert "train.lr" in str(info.value)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    ("spec", "values"),
    [
        ({"distribution": "q_uniform", "min": 1, "max": 10, "q": 2}, [2, 4, 6, 8, 10]),
        ({"distribution": "q_uniform", "min": 10, "max": 100, "q": 25}, [25, 50, 75, 100]),
        ({"distribution": "q_uniform", "min": 0.5, "max": 3.5, "q": 1}, [1, 2, 3]),
        ({"distribution": "q_uniform", "min": 0, "max": 1, "q": 0.3}, [0.0, 0.3, 0.6, 0.9]),
        ({"distribution": "int_uniform", "min": 2, "max": 2}, [2]),
    ],
)
def test_quantised_values_are_multiples_within_the_limits(spec, values):
    parameter = read_parameter("k", spec)
    assert parameter.grid() == values
    assert len(parameter.codes) == len(values)
    assert sorted(set(_drawn(parameter, 60))) == values


def test_quantised_values_on_a_logarithmic_scale_stay_within_the_limits():
    parameter = read_parameter("k", {"distribution": "q_log_uniform_values", "min": 1, "max": 100, "q": 10})
    drawn = set(_drawn(parameter, 60))
    assert min(drawn) == 10
    assert all(value % 10 == 0 and value <= 100 for value in drawn)


def test_limits_without_a_multiple_are_refused():
    with pytest.raises(UserError, match="no multiple of `q` 7"):
        read_parameter("k", {"distribution": "q_uniform", "min": 8, "max": 13, "q": 7})
