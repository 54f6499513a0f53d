"""Options of earlier versions."""

import pytest

from tpl_lightning.config.loading import load_config
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
