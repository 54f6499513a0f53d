"""Exports of BORIS and ELAN, and our own tables."""

import pytest

from tpl_lightning.errors import UserError
from tpl_lightning.labels.reading import read_annotations

STRETCHES = [(0.0, 0.7, "up"), (0.7, 2.0, "down")]

OWN = "video_id,phase,start_s,end_s\nb0,down,0:00.7,2\nb0,up,0,00:00.7\n"
BORIS_AGGREGATED = """Observation id,Media file name,Subject,Behavior,Behavior type,Start (s),Stop (s),Duration (s)
o,/home/x/clips/b0.mp4,No focal subject,up,STATE,0.000,0.700,0.7
o,/home/x/clips/b0.mp4,No focal subject,down,STATE,0.700,2.000,1.3
o,/home/x/clips/b0.mp4,No focal subject,blink,POINT,1.000,1.000,0
"""
BORIS_TABULAR = """Observation id\tb0\t\t\t\t

Media file(s)\t\t\t\t\t
Time\tMedia file path\tTotal length\tSubject\tBehavior\tStatus
0.0\tC:\\clips\\b0.mp4\t2\t\tup\tSTART
0.7\tC:\\clips\\b0.mp4\t2\t\tup\tSTOP
0.7\tC:\\clips\\b0.mp4\t2\t\tdown\tSTART
2.0\tC:\\clips\\b0.mp4\t2\t\tdown\tSTOP
"""
ELAN_HEADER = """Begin Time - hh:mm:ss.ms\tBegin Time - ss.msec\tEnd Time - ss.msec\tDuration - msec\tphases
00:00:00.000\t0.0\t0.7\t700\tup
00:00:00.700\t0.7\t2.0\t1300\tdown
"""
ELAN_TIERS = """Tier,Begin Time - ss.msec,End Time - ss.msec,Annotation
Phases,0.0,0.7,up
notes,0.2,0.4,said something
Phases,0.7,2.0,down
"""
ELAN_COLUMNS = """Begin Time - ss.msec\tEnd Time - ss.msec\tphases\tnotes
0.0\t0.7\tup\t
0.2\t0.4\t\tsaid something
0.7\t2.0\tdown\t
"""
ELAN_MSEC = "Begin Time - msec,End Time - msec,phases\n0,700,up\n700,2000,down\n"
ELAN_BARE = """phases\t\t00:00:00.000\t0.0\t00:00:00.700\t0.7\t00:00:00.700\t0.7\tup
phases\t\t00:00:00.700\t0.7\t00:00:02.000\t2.0\t00:00:01.300\t1.3\tdown
notes\t\t00:00:00.700\t0.7\t00:00:02.000\t2.0\t00:00:01.300\t1.3\tsaid something
"""
ELAN_BARE_MSEC = "phases\tme\t0\t700\t700\tup\tb0.eaf\nphases\tme\t700\t2000\t1300\tdown\tb0.eaf\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", OWN),
        ("a.csv", BORIS_AGGREGATED),
        ("a.tsv", BORIS_TABULAR),
        ("b0.txt", ELAN_HEADER),
        ("b0.csv", ELAN_MSEC),
        ("b0.csv", ELAN_TIERS),
        ("b0.txt", ELAN_COLUMNS),
        ("b0.txt", ELAN_BARE),
        ("other.txt", ELAN_BARE_MSEC),
    ],
)
def test_layouts(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    annotations = read_annotations(tmp_path / name)
    assert annotations.unit == "seconds"
    key = annotations.name_of("b0", "swing")
    assert annotations.named[key] == [pytest.approx(stretch) for stretch in STRETCHES]


def test_points_of_boris_open_phases(tmp_path):
    (tmp_path / "a.csv").write_text("Time,Media file name,Behavior,Behavior type\n0.4,b0.mp4,hit,POINT\n")
    named = read_annotations(tmp_path / "a.csv").named
    assert named == {"b0.mp4": [(0.0, 0.4, "start"), (0.4, float("inf"), "hit")]}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("Time,Media file name,Behavior,Behavior type\n1,a.mp4,up,START\n", "line 2: 'up' starts, but does not stop"),
        ("Time,Media file name,Behavior,Behavior type\n1,a.mp4,up,STOP\n", "line 2: 'up' stops, but has not"),
        ("video_id,phase,start_s,end_s\n,up,0,1\n", "line 2: expected a video_id"),
        ("video_id,phase,start_s,end_s\n,,,\na,up,0,nan\n", "line 3: expected numbers, but found end_s = 'nan'"),
        ("Begin Time - msec,End Time - msec,x,y\n0,1,a,b\n", "found x, y"),
        ("Begin Time - msec,End Time - msec,x,x\n0,1,a,b\n", "found x, x"),
        (
            "Tier,Begin Time - msec,End Time - msec,Annotation\nleft,0,700,up\nright,0,700,down\n",
            "one tier named 'phases', or one alone, but found left, right",
        ),
        ("", "but found none"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, named):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(UserError) as error:
        read_annotations(tmp_path / "a.csv")
    assert named in str(error.value)
    assert "\n" not in str(error.value)


def test_a_bare_export_of_several_tiers_is_refused(tmp_path):
    (tmp_path / "b0.txt").write_text("left\t\t0.0\t0.7\t0.7\tup\nright\t\t0.0\t0.7\t0.7\tup\n")
    with pytest.raises(UserError, match="one tier named 'phases', or one alone, but found left, right"):
        read_annotations(tmp_path / "b0.txt")
