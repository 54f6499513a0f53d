"""Options of earlier versions."""

import pytest

from tpl_lightning.config.loading import load_config
from tpl_lightning.config.stored import load_run_config
from tpl_lightning.errors import UserError


def test_options_of_earlier_versions_are_read_with_a_note(tmp_path, capsys):
    old = tmp_path / "old.yaml"
    old.write_text("direct:\n  smoothness: 0.2\n  paths: 1\n  metric: true\n  stages: [0.1, 0.05, 0.025, 0.0125]\n")
    assert load_config([str(old)]).direct.smoothness == 0.2
    assert capsys.readouterr().err == ""  # all as they were by default: nothing changes
    config = load_config(["direct.paths=0", "direct.smoothness=0.3"], defaults={"direct": {"joint_videos": 99}})
    assert config.direct.smoothness == 0.3
    told = capsys.readouterr().err
    assert "direct.joint_videos is no option any more" in told
    assert "direct.paths is no option any more (paths always start the last fit)" in told
    assert told.count("\n") == 2
    with pytest.raises(UserError, match=r"direct\.path\b"):
        load_config(["direct.path=0"])


def test_renamed_options_keep_their_values(tmp_path, capsys):
    old = tmp_path / "config.yaml"
    old.write_text("method: direct\ndirect:\n  level_freedom: 0.7\n  adapt: 0.0\n")
    stored = load_run_config(old).direct
    assert (stored.offset_shrinkage, stored.empirical_bayes) == (0.7, 0.0)
    assert capsys.readouterr().err == ""  # a run of an earlier version is no mistake
    assert load_config(["direct.adapt=0.2"]).direct.empirical_bayes == 0.2
    assert "direct.adapt=0.2: direct.adapt is called direct.empirical_bayes now." in capsys.readouterr().err
    assert load_config([str(old), "direct.offset_shrinkage=0.1"]).direct.offset_shrinkage == 0.1
    with pytest.raises(UserError, match=r"direct\.offset_shrinkage. to be in 0\.\.1"):
        load_config(["direct.level_freedom=2"])
