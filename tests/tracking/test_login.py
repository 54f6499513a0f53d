"""Where a run goes: the option, then the environment, then whether a login is found."""

from types import SimpleNamespace

import pytest

from tpl_lightning.config.loading import load_config
from tpl_lightning.errors import UserError
from tpl_lightning.tracking import login
from tpl_lightning.tracking.login import choose_mode, find_login


@pytest.fixture(autouse=True)
def _no_login(monkeypatch, tmp_path):
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_DISABLED", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def test_without_a_login_runs_stay_offline():
    assert choose_mode("auto") == ("offline", "no login found")


def test_a_login_is_found_without_the_network(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text(f"machine api.wandb.ai login user password {'k' * 40}\n")
    assert choose_mode("auto")[0] == "online"
    monkeypatch.setenv("WANDB_BASE_URL", "https://other.example")
    assert find_login() is None
    monkeypatch.setenv("WANDB_API_KEY", "key")
    mode, why = choose_mode("auto")
    assert mode == "online"
    assert "key" not in why.lower().replace("api_key", "")


def test_a_login_is_that_of_the_server_and_its_port(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text(f"machine wandb.local:8080 login user password {'k' * 40}\n")
    assert find_login() is None
    monkeypatch.setenv("WANDB_BASE_URL", "http://wandb.local:8080")
    assert "wandb.local:8080" in find_login()
    monkeypatch.setenv("WANDB_BASE_URL", "http://wandb.local:9090")
    assert find_login() is None


def test_the_server_of_wandbs_settings_is_asked_for(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text(f"machine wandb.local:8080 login user password {'k' * 40}\n")
    monkeypatch.setattr(
        login, "wandb_settings", lambda: SimpleNamespace(base_url="http://wandb.local:8080", api_key=None)
    )
    assert choose_mode("auto")[0] == "online"


def test_a_broken_netrc_is_no_login(tmp_path):
    (tmp_path / "netrc").write_text("machine\n")
    assert find_login() is None


@pytest.mark.parametrize(
    ("name", "value", "mode"),
    [
        ("WANDB_MODE", "disabled", "disabled"),
        ("WANDB_MODE", "offline", "offline"),
        ("WANDB_MODE", "dryrun", "offline"),
        ("WANDB_DISABLED", "true", "disabled"),
    ],
)
def test_the_environment_counts_under_auto_alone(monkeypatch, name, value, mode):
    monkeypatch.setenv(name, value)
    assert choose_mode("auto")[0] == mode
    assert choose_mode("online")[0] == "online"


@pytest.mark.parametrize("argument", ["run.wandb=maybe", "run.wandb=2", "run.tags=['']"])
def test_wrong_values_are_one_line(argument):
    with pytest.raises(UserError, match=r"run\.(wandb|tags)|wandb"):
        load_config([argument])
