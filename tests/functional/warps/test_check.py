"""The self-test of the warps passes, and notices warps that are wrong."""

import pytest
import torch

from tpl_lightning.functional import warps
from tpl_lightning.functional.warps import check


def test_warps_pass_and_errors_are_those_of_rounding():
    result = check.warp_self_test()
    assert result.pop("ok") is True
    assert set(result) == {"inverse error", "steps back", "moved ends", "known warp", "gradient error"}
    assert all(0 <= error < 1e-6 for error in result.values())


def _scaled(theta, points, **options):
    return 1.01 * warps.cpab_warp(theta, points, **options)


def _too_far(theta, points, **options):
    return warps.cpab_warp(1.01 * theta, points, **options)


def _wrong_gradient(theta, points, **options):
    warped = warps.cpab_warp(theta, points, **options)
    return warped + 0.01 * (warped - warped.detach())


def _steps_back(theta, points, **options):
    warped = warps.cpab_warp(theta, points, **options)
    return warped.flip(-1) if warped.shape[-1] == 100 else warped


@pytest.mark.parametrize("wrong", [_scaled, _too_far, _wrong_gradient, _steps_back])
def test_wrong_warps_are_noticed(monkeypatch, wrong):
    monkeypatch.setattr(check, "cpab_warp", wrong)
    assert check.warp_self_test()["ok"] is False


@pytest.mark.parametrize(("offset", "ok"), [(0.0, True), (1e-5, True), (1e-3, False)])
def test_difw_is_compared_where_asked(monkeypatch, offset, ok):
    monkeypatch.setattr(check, "cpab_warp_difw", lambda theta, points: warps.cpab_warp(theta, points) + offset)
    result = check.warp_self_test(difw=True)
    assert result["ok"] is ok
    assert result["difference to difw"] == pytest.approx(offset, abs=1e-9)
    assert "difference to difw" not in check.warp_self_test()


def test_a_backend_that_cannot_be_built_is_told(monkeypatch):
    def fails():
        raise check.UserError("no compiler")

    monkeypatch.setattr(check, "load_difw", fails)
    status = check.backend_status()
    assert status["torch"].startswith("works")
    assert status["difw"] == "does not work: no compiler"
    monkeypatch.setattr(check, "load_difw", lambda: torch)
    assert check.backend_status()["difw"].startswith("works")
