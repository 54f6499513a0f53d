"""What errors say, in a few words."""

import h5py
import pytest

from tpl_lightning.errors import first_line


def test_a_reason_is_what_the_system_says(tmp_path):
    assert first_line(OSError(28, "No space left on device", "a.h5")) == "No space left on device"
    assert first_line(ValueError("one.\ntwo")) == "one"
    assert first_line(KeyError()) == "KeyError"
    with pytest.raises(OSError, match="Unable to") as caught:
        h5py.File(tmp_path / "missing.h5", "r")
    assert first_line(caught.value) == "No such file or directory"
