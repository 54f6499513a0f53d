"""Values as they are typed."""

from typing import Any, Literal

import pytest

from tpl_lightning.config.loading import load_config
from tpl_lightning.config.stored import save_config
from tpl_lightning.config.tree import Config
from tpl_lightning.config.typed import field_type, read_typed
from tpl_lightning.errors import UserError

TEXTS = ["007", "1e-5", "2024-01-01", "12:30:45", "yes", "0x10", "1_000", "a: b", "exp #3", "[v2]", "{x}", "'q'", "@x"]
TEXTS += ["*x", "!x", "-", "a=b", "$HOME", "${x}", "\\${x}", " pad ", "~", "none", "日本"]


@pytest.mark.parametrize("text", TEXTS)
def test_text_is_what_was_typed_and_survives_the_run(tmp_path, text):
    config = load_config([f"run.name={text}", f"data.cache=/d/{text}/c.h5", f"data.actions=['{text.strip(chr(39))}']"])
    assert (config.run.name, config.data.cache) == (text, f"/d/{text}/c.h5")
    assert config.data.actions == [text.strip("'")]
    save_config(config, tmp_path / "config.yaml")
    assert load_config([str(tmp_path / "config.yaml")]) == config


def test_a_run_may_be_called_null_and_a_cache_may_be_none():
    assert load_config(["run.name=null"]).run.name == "null"
    assert load_config(["data.cache=null"]).data.cache is None
    assert load_config(["data.cache="]).data.cache is None


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("1e2", int, 100),
        ("010", int, 10),
        ("1E-5", float, 1e-5),
        ("'.5'", float, 0.5),
        ("yes", bool, True),
        ("OFF", bool, False),
        ("None", int | None, None),
        ("~", float | None, None),
        ("[007, 'a, b', x [1,2]]", list[str], ["007", "a, b", "x [1,2]"]),
        ("[]", list[str], []),
        ("[0.1, 5e-2]", list[float], [0.1, 0.05]),
        ("[4,8]", int | list[int], [4, 8]),
        ("4", int | list[int], 4),
        ("set", Literal["set", "video"], "set"),
    ],
)
def test_typed_options(text, kind, value):
    found = read_typed(text, kind)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("3.0", int), ("1:30", int), ("maybe", bool), ("a,b", list[str]), ("[x]", list[int]), ("null", int), ("", float)],
)
def test_other_values_are_refused(text, kind):
    with pytest.raises(ValueError, match="expected"):
        read_typed(text, kind)


def test_variables_of_the_environment(monkeypatch):
    monkeypatch.setenv("PLACE", "/x y")
    assert read_typed("${oc.env:PLACE}/c.h5", str) == "/x y/c.h5"
    assert read_typed("${oc.env:NOPE,/d}/c.h5", str) == "/d/c.h5"
    with pytest.raises(UserError, match="no variable NOPE"):
        load_config(["data.cache=${oc.env:NOPE}/c.h5"])


def test_types_of_keys():
    assert field_type(Config, "train.lr") is float
    assert field_type(Config, "data.nothing") is None
    assert field_type(Config, "seed.deep") is None
    assert field_type(Config, "warp.num_cells") is Any


def test_one_name_for_the_cache_and_files_with_equals_signs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exp=1.yaml").write_text("seed: 5\n")
    config = load_config(["exp=1.yaml", "cache=a b.h5"])
    assert (config.seed, config.data.cache) == (5, "a b.h5")


@pytest.mark.parametrize(("text", "mode"), [("false", "disabled"), ("off", "disabled"), ("true", "auto")])
def test_wandb_as_people_say_it(tmp_path, text, mode):
    (tmp_path / "a.yaml").write_text(f"run:\n  wandb: {text}\n")
    assert load_config([f"run.wandb={text}"]).run.wandb == mode
    assert load_config([str(tmp_path / "a.yaml")]).run.wandb == mode
