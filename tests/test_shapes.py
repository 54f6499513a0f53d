"""The shapes in the signatures of functional, nn and metrics hold at every call, which beartype looks at."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jaxtyping")
pytest.importorskip("beartype")

ROOT = Path(__file__).parent.parent
CHECKED = {**os.environ, "TPL_CHECK_SHAPES": "1", "OMP_NUM_THREADS": "1"}
# Parts of names. They give what the annotations forbid, to see what we say of it; or have a function compiled.
REFUSED = (
    "arguments_are_checked",
    "labels_of_a_wrong_shape",
    "a_wrong_build",
    "compiles_as_one_graph",
    "a_compiled_network",
)


def _run(*arguments):
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=CHECKED, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_examples_and_losses_with_their_shapes_checked():
    places = ["tests/test_doctests.py", "tests/functional/losses"]
    rooms = "not (aligners or api or data or evaluation)"
    assert " failed" not in _run("-m", "pytest", *places, "-q", "-m", "not slow", "-k", rooms, "-p", "no:cacheprovider")


@pytest.mark.slow
def test_all_tests_of_these_rooms_and_of_training_with_their_shapes_checked():
    places = ["tests/functional", "tests/nn", "tests/metrics", "tests/lit", "tests/groupwise", "tests/api"]
    left_out = " and ".join(f"not {name}" for name in REFUSED)
    _run("-m", "pytest", *places, "-q", "-m", "not slow", "-k", left_out, "-p", "no:cacheprovider")


def test_a_wrong_shape_or_kind_is_noticed():
    _run(
        "-c",
        """
from tests.shapes import check_shapes
check_shapes()
import pytest, torch
from jaxtyping import TypeCheckError
from tpl_lightning.functional import length_mask, resample
from tpl_lightning.metrics import KeyEventSpread
signal, times, lengths = torch.zeros(2, 5, 3), torch.zeros(2, 4), torch.tensor([5, 5])
assert resample(signal, times, lengths).shape == (2, 4, 3)
for wrong in ((signal[0], times, lengths), (signal, times, lengths[:1]), (signal, times, lengths.float())):
    with pytest.raises(TypeCheckError):
        resample(*wrong)
with pytest.raises(TypeCheckError):
    KeyEventSpread(num_actions=1, num_phases=2).update(times, times, lengths, lengths)
""",
    )


def test_they_are_plain_types_without_jaxtyping():
    _run(
        "-c",
        """
import sys
sys.modules["jaxtyping"] = None
from torch import Tensor
from tpl_lightning.functional import resample
assert resample.__annotations__["signal"] is Tensor
""",
    )
