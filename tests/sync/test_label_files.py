"""Labels as files: ELAN names, what XML cannot hold."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from tpl_lightning.runs import RunVideo
from tpl_lightning.sync.label_files import label_targets, write_labels
from tpl_lightning.sync.transfer import LabelledVideo, PhaseSpan
from tpl_lightning.video.clock import VideoClock


def test_eaf_files_have_names_of_their_own():
    names = ["a#1", "a%1", "swing/k.mp4", "swing/k.mov", "swing/l.mp4", "../x", "Swing/k.mp4"]
    targets = [path.as_posix() for path in label_targets(Path("out/e.eaf"), names)]
    assert targets == [
        "out/e/a_1.eaf",
        "out/e/a_1-2.eaf",
        "out/e/swing/k.mp4.eaf",
        "out/e/swing/k.mov.eaf",
        "out/e/swing/l.mp4.eaf",
        "out/e/_/x.eaf",
        "out/e/Swing-2/k.eaf",
    ]


def test_what_xml_cannot_hold_is_replaced(tmp_path):
    grid = np.linspace(0, 1, 4)
    video = RunVideo(grid, grid, "v", "a", "train", VideoClock.even(4, 10.0))
    span = PhaseSpan("up\x0bx\udce9", 0.0, 0.4, 0, 4, 1.0)
    (path,) = write_labels(tmp_path / "l.eaf", [LabelledVideo(video, ("up",), 4, 10.0, (span,))])
    values = [item.text for item in ElementTree.parse(path).iter("ANNOTATION_VALUE")]
    assert values[0] == "up\ufffdx\ufffd"
