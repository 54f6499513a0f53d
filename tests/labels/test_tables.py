"""Tables as spreadsheets and people write them."""

import pytest

from tpl_lightning.errors import UserError
from tpl_lightning.labels.tables import read_number, read_seconds, read_table

ROWS = [{"video_id": "b0", "phase": "go up", "start_s": "0,5"}, {"video_id": "ü", "phase": "", "start_s": "2"}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("mark", [";", "\t"])
def test_marks_and_encodings(tmp_path, encoding, mark):
    lines = ["Video ID; phase ;start_s", 'b0;"go\nup";0,5', ";;", "", "ü;;2;more", ";;"]
    (tmp_path / "a.csv").write_bytes("\r\n".join(lines).replace(";", mark).encode(encoding))
    columns, rows = read_table(tmp_path / "a.csv")
    assert columns == ["video_id", "phase", "start_s"]
    assert rows == ROWS
    assert [row.line for row in rows] == [2, 6]


def test_the_mark_that_excel_names(tmp_path):
    (tmp_path / "a.csv").write_text("sep=|\na|b,c\n1|2\n")
    columns, rows = read_table(tmp_path / "a.csv")
    assert (columns, rows, rows[0].line) == (["a", "b,c"], [{"a": "1", "b,c": "2"}], 3)


def test_what_is_no_table_is_named(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"path,action\nx,fu\xdfball\n")
    with pytest.raises(UserError, match=r"a\.csv: expected a CSV file in UTF-8"):
        read_table(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("")
    assert read_table(tmp_path / "a.csv") == ([], [])


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0,7", 0.7),
        ("1.234,5", 1234.5),
        ("1,234.5", 1234.5),
        ("01:02.5", 62.5),
        ("1:00:00,25", 3600.25),
        ("90:00", 5400),
    ],
)
def test_times(text, seconds):
    assert read_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "nan", "inf", "1:75", "1:60:00", "1:2:3:4", "-0:10"])
def test_what_is_no_time(text):
    with pytest.raises(ValueError):  # noqa: PT011  # of float() and of ours
        read_seconds(text)
    with pytest.raises(ValueError):  # noqa: PT011
        read_number(text)
