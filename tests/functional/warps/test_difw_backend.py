"""difw, built with safe flags, against our flow; and its errors where it cannot be built."""

import shutil

import pytest
import torch

from tpl_lightning.errors import UserError
from tpl_lightning.functional.warps import difw_backend
from tpl_lightning.functional.warps.check import warp_self_test
from tpl_lightning.functional.warps.cpab import cpab_warp, warp_time
from tpl_lightning.functional.warps.difw_backend import cpab_warp_difw, load_difw

needs_compiler = pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("cells", [2, 5, 16, 49])
@pytest.mark.parametrize("zero_boundary", [True, False])
def test_both_backends_agree(cells, zero_boundary):
    generator = torch.Generator().manual_seed(cells)
    size = cells - 1 if zero_boundary else cells + 1
    theta = (torch.randn(6, size, generator=generator) * 0.1 * cells).requires_grad_()
    points = (torch.rand(6, 40, generator=generator) * 0.98 + 0.01).requires_grad_()
    weight = torch.randn(6, 40, generator=generator)
    ours = cpab_warp(theta, points, num_cells=cells, zero_boundary=zero_boundary)
    theirs = cpab_warp_difw(theta, points, num_cells=cells, zero_boundary=zero_boundary)
    torch.testing.assert_close(theirs, ours, atol=1e-5, rtol=1e-5)
    for found, expected in zip(
        torch.autograd.grad((theirs * weight).sum(), (theta, points)),
        torch.autograd.grad((ours * weight).sum(), (theta, points)),
        strict=True,
    ):
        torch.testing.assert_close(found, expected, atol=2e-3, rtol=2e-3)


@needs_compiler
@pytest.mark.slow
def test_composition_takes_either_backend(capfd):
    load_difw.cache_clear()
    theta, points = torch.randn(3, 2, 7), torch.rand(11)
    found = warp_time(theta, points, num_cells=[4, 8], backend="difw")
    torch.testing.assert_close(found, warp_time(theta, points, num_cells=[4, 8]), atol=1e-5, rtol=1e-5)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert warp_self_test(difw=True)["ok"]


def test_without_a_compiler_there_is_a_way_out(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    load_difw.cache_clear()
    with pytest.raises(UserError, match=r"install g\+\+, or use warp.backend=torch"):
        load_difw()
    assert not list(tmp_path.rglob("*.so"))


def test_a_wrong_build_is_refused(tmp_path):
    class Wrong:
        @staticmethod
        def integrate_closed_form(points, *_):
            return points[None] * 3

    with pytest.raises(UserError, match="a known warp comes out"):
        difw_backend.check_known_warp(Wrong, tmp_path / "x.so")
