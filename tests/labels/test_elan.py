"""ELAN's files as ELAN writes them."""

import pytest

from tpl_lightning.errors import UserError
from tpl_lightning.labels.elan import read_eaf

MEDIA = '<MEDIA_DESCRIPTOR MEDIA_URL="file:///x/{name}" MIME_TYPE="video/mp4" TIME_ORIGIN="{origin}"/>'


def write(path, slots, *, media="", unit="milliseconds", value="up"):
    times = "".join(
        f'<TIME_SLOT TIME_SLOT_ID="ts{k}"' + ("" if at is None else f' TIME_VALUE="{at}"') + "/>"
        for k, at in enumerate(slots)
    )
    items = "".join(
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a{k}" TIME_SLOT_REF1="ts{k}" TIME_SLOT_REF2="ts{k + 1}">'
        f"<ANNOTATION_VALUE>{value}{k}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
        for k in range(len(slots) - 1)
    )
    path.write_text(
        f'<ANNOTATION_DOCUMENT><HEADER TIME_UNITS="{unit}">{media}</HEADER><TIME_ORDER>{times}</TIME_ORDER>'
        f'<TIER TIER_ID="phases">{items}</TIER></ANNOTATION_DOCUMENT>'
    )
    return path


def test_slots_without_a_time_lie_evenly_between_their_neighbours(tmp_path):
    spans = read_eaf(write(tmp_path / "v.eaf", [0, None, None, 900, None, 1000]))
    assert [span[:2] for span in spans] == [(0, 0.3), (0.3, 0.6), (0.6, 0.9), (0.9, 0.95), (0.95, 1.0)]


def test_the_clock_begins_where_the_video_of_the_name_has_it(tmp_path):
    media = MEDIA.format(name="other.mp4", origin=5000) + MEDIA.format(name="v.mp4", origin=250)
    assert read_eaf(write(tmp_path / "v.eaf", [0, 500], media=media)) == [(0.25, 0.75, "up0")]
    assert read_eaf(write(tmp_path / "w.eaf", [0, 500], media=media)) == [(5.0, 5.5, "up0")]


def test_values_of_several_lines_are_one_name(tmp_path):
    assert read_eaf(write(tmp_path / "v.eaf", [0, 500], value=" go\n  up "))[0][2] == "go up 0"


@pytest.mark.parametrize(
    ("slots", "unit", "named"),
    [
        ([0, None], "milliseconds", "ts1 has no time"),
        ([0, 1], "PAL-frames", "PAL-frames"),
        ([0, "x"], "milliseconds", "x"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, slots, unit, named):
    with pytest.raises(UserError, match="not a readable ELAN file") as error:
        read_eaf(write(tmp_path / "v.eaf", slots, unit=unit))
    assert named in str(error.value)
