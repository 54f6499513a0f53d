"""Names made safe for lines, files and XML."""

import unicodedata
from xml.etree import ElementTree

import pytest

from tpl_lightning.files.names import canonical, file_stem, one_line, unique_stems, xml_text


def test_stems_that_would_meet_are_told_apart():
    assert unique_stems(["a#1", "a%1", "a?1", "x"]) == ["a_1", "a_1-2", "a_1-3", "x"]
    assert unique_stems(["a_1-2", "a#1", "a%1"]) == ["a_1-2", "a_1", "a_1-3"]
    assert unique_stems(["Jump", "jump"]) == ["Jump", "jump-2"]
    assert unique_stems(["caf\u00e9", "cafe\u0301"]) == ["caf\u00e9", "caf\u00e9-2"]


@pytest.mark.parametrize("name", ["..", "../../etc/passwd", "/", "a/../..", "", ". .", "\udce9", "\\\\host\\x", "a\0b"])
def test_a_stem_never_leaves_its_folder(name):
    stem = file_stem(name)
    assert stem
    assert stem not in {".", ".."}
    assert not {"/", "\\", "\0"} & set(stem)
    stem.encode()


def test_long_names_leave_room_for_an_ending():
    assert len(file_stem("日" * 300).encode()) <= 180
    assert set(file_stem("日" * 300)) == {"日"}


def test_one_line_and_xml():
    assert one_line("go\nup\t\x0b\u2028\udce9x") == "go up    x"
    document = ElementTree.fromstring(f"<a>{xml_text('up' + chr(11) + 'x' + chr(0xFFFF))}</a>")
    assert document.text == "up\ufffdx\ufffd"
    assert canonical("cafe\u0301") == unicodedata.normalize("NFC", "cafe\u0301")
    assert canonical("caf\udce9") == "caf?"
