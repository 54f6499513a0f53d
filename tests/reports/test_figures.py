"""Figures of a run."""

import matplotlib.image
import numpy as np
import pytest

from tests.run_factory import make_run
from tpl_lightning.data import VideoSet
from tpl_lightning.evaluation import evaluate
from tpl_lightning.reports.figures import draw_run
from tpl_lightning.runs import Run


class Latents:
    """An aligner whose signals are known."""

    def latents(self, videos):
        return [np.linspace(0, 1, length)[:, None] for length in videos.lengths]


def drawn(tmp_path, aligner, **options):
    folder = make_run(tmp_path, lengths=(20, 30, 25), strengths=(0.0, 0.5, -0.5), prototype=25, files=False, **options)
    run = Run(folder)
    videos = VideoSet(run.cache)
    draw_run(folder, aligner, run.alignment, videos, evaluate(run.alignment, videos), "made [by] a $test")
    return folder / "figures"


@pytest.mark.parametrize("aligner", [Latents(), object()])
def test_signals_warps_and_prototypes_are_drawn(tmp_path, aligner):
    (tmp_path / "runs" / "r" / "figures").mkdir(parents=True)
    folder = drawn(tmp_path, aligner, actions=("jump", "turn $x$"))
    assert sorted(path.name for path in folder.iterdir()) == ["latents.png", "prototypes.png", "warps.png"]
    for path in folder.iterdir():
        picture = matplotlib.image.imread(path)[..., :3]
        colours = np.unique(np.round(picture.reshape(-1, 3), 1), axis=0)
        assert len(colours) > 10, path.name  # curves in the colours of the phases


def test_curves_are_drawn_of_what_was_logged(tmp_path):
    folder = tmp_path / "runs" / "r"
    (folder / "figures").mkdir(parents=True)
    (folder / "metrics.csv").write_text("epoch,train/loss,train/icae_weight,other\n0,1.5,0,7\n1,0.5,1,7\n")
    assert (drawn(tmp_path, object()) / "curves.png").is_file()


def test_a_log_without_curves_draws_none(tmp_path):
    folder = tmp_path / "runs" / "r"
    (folder / "figures").mkdir(parents=True)
    (folder / "metrics.csv").write_text("epoch,other\n0,7\n")
    assert not (drawn(tmp_path, object()) / "curves.png").exists()
