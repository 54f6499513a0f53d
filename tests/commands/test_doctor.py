"""``tpl doctor`` tells what works here."""

import time

import pytest

from tpl_lightning.__main__ import main
from tpl_lightning.functional import warps
from tpl_lightning.functional.warps import check as warp_check


@pytest.fixture
def _no_build(monkeypatch):
    """Without difw nothing is compiled."""
    monkeypatch.setattr(warps, "backend_status", lambda: {"torch": "works", "difw": "does not work: no C++ compiler"})
    monkeypatch.setenv("COLUMNS", "200")


@pytest.mark.usefixtures("_no_build")
def test_prints_versions_devices_login_and_the_self_test(capsys):
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out
    for text in ("Python", "torch", "lightning", "difw", "wandb", "CUDA", "CPU threads", "W&B", "no C++ compiler"):
        assert text in printed
    assert "passed in" in printed
    assert "inverse error" in printed


@pytest.mark.usefixtures("_no_build")
def test_a_failed_self_test_is_an_exit_code(monkeypatch, capsys):
    monkeypatch.setattr(warps, "warp_self_test", lambda **_: {"inverse error": 0.3, "ok": False})
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "FAILED" in printed
    assert "3.0e-01" in printed


def test_arguments_are_refused(capsys):
    assert main(["doctor", "x=1"]) == 2
    assert "takes no arguments" in capsys.readouterr().err
    assert main(["doctor", "--help"]) == 0


@pytest.mark.usefixtures("_no_build")
@pytest.mark.parametrize("mode", ["offline", "disabled"])
def test_says_where_a_fit_would_log(mode, monkeypatch, capsys):
    monkeypatch.setenv("WANDB_MODE", mode)
    assert main(["doctor"]) == 0
    assert f"{mode} (WANDB_MODE={mode})" in capsys.readouterr().out


def test_the_self_test_takes_less_than_a_second():
    warp_check.warp_self_test()
    start = time.thread_time()
    assert warp_check.warp_self_test()["ok"]
    assert time.thread_time() - start < 1
