"""Types of tensors by their axes: checked where jaxtyping is, plain types where it is not."""

import subprocess
import sys

import pytest
import torch
from torch import Tensor

from tpl_lightning.functional.shapes import Float, Int


def test_types_tell_axes_apart():
    pytest.importorskip("jaxtyping")
    assert isinstance(torch.zeros(2, 3), Float[Tensor, "B C"])
    assert not isinstance(torch.zeros(2), Float[Tensor, "B C"])
    assert not isinstance(torch.zeros(2, 3), Int[Tensor, "B C"])


def test_without_jaxtyping_they_are_the_plain_type():
    program = (
        "import sys; sys.modules['jaxtyping'] = None\n"
        "from torch import Tensor\n"
        "from tpl_lightning.functional import Float, frame_times\n"
        "assert Float[Tensor, 'B T'] is Tensor\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
