import pytest

from tpl_lightning.errors import UserError
from tpl_lightning.files import Outputs
from tpl_lightning.labels import Occurrence, read_occurrences, write_occurrences


def test_a_table_is_read_as_it_was_written(tmp_path):
    found = [Occurrence(1.5, 2.25, "jump, high", 0.75, (1.5, 2.0)), Occurrence(3.0, 4.0, "turn", 1.0)]
    path = write_occurrences(tmp_path / "t.csv", found, Outputs("find"))
    assert path.read_text().splitlines()[:2] == [
        "start_s,end_s,action,score,phase_starts_s",
        '1.500,2.250,"jump, high",0.750,1.500;2.000',
    ]
    assert read_occurrences(path) == found
    assert read_occurrences(write_occurrences(tmp_path / "none.csv", [], Outputs("find"))) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [("start_s,action\n1,a\n", "expected a column 'end_s'"), ("start_s,end_s,action\n1,x,a\n", "line 2: expected num")],
)
def test_user_errors(tmp_path, text, message):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        read_occurrences(tmp_path / "t.csv")
