"""Runs for the tests of this room."""

import numpy as np
import pytest

from tests.run_factory import make_run
from tests.video_factory import embed_folder
from tpl_lightning.__main__ import main
from tpl_lightning.runs import Run
from tpl_lightning.video.files import write_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    make_run(folder, actions=("jump", "turn"), lengths=(20, 24), strengths=(0.1, 0.3), prototype=20)
    return folder


@pytest.fixture
def run(folder):
    return Run(folder / "runs" / "r")


@pytest.fixture
def clips(folder):
    return folder / "videos" / "tiny"


def square(count, bend, seed=0, size=48):
    """A bright square that falls through a textured picture at a changing pace."""
    picture = np.random.default_rng(seed).integers(40, 90, size=(size, size, 3)).astype(np.uint8)
    time = np.linspace(0, 1, count)
    for place in ((time + bend * time * (1 - time)) * (size - 12)).astype(int):
        frame = picture.copy()
        frame[place : place + 12, place // 2 : place // 2 + 12] = 240
        yield frame


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of the direct fit on clips embedded by HOG."""
    root = tmp_path_factory.mktemp("trained")
    for k, bend in enumerate((0.0, 0.5, -0.5, 0.3)):
        write_video(root / "clips" / "fall" / f"fall_{k}.mp4", square(26 + k, bend, seed=k), 24.0)
    cache = embed_folder(root / "clips", root / "clips.h5", channels=6, num_workers=0, progress=False)
    options = ["method=direct", "data.pca=6", "run.figures=false", "run.progress=false"]
    assert main(["fit", f"data.cache={cache}", f"run.dir={root / 'runs'}", "run.name=r", *options]) == 0
    return root
