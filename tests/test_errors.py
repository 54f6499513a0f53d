"""What errors say, in a few words."""

import h5py
import pytest

from tpl_lightning.errors import reason


def test_a_reason_is_what_the_system_says(tmp_path):
    assert reason(OSError(28, "No space left on device", "a.h5")) == "No space left on device"
    assert reason(ValueError("one.\ntwo")) == "one"
    assert reason(KeyError()) == "KeyError"
    with pytest.raises(OSError, match="Unable to") as caught:
        h5py.File(tmp_path / "missing.h5", "r")
    assert reason(caught.value) == "No such file or directory"
