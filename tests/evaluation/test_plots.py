"""What is on the axes."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from tpl_lightning.errors import UserError
from tpl_lightning.evaluation.alignment import Alignment
from tpl_lightning.evaluation.plots import plot_alignment, plot_prototype, plot_warps


@pytest.fixture
def alignment():
    line = np.linspace(0, 1, 11)
    return Alignment.from_rows(
        video_id=["a", "b", "c"],
        action=["jump", "jump", "turn"],
        split=["train", "test", "train"],
        positions=[line, line**2, line],
        sources=[line, line**0.5, line],
    )


def _axes():
    return Figure().subplots()


def test_videos_over_prototype_time(alignment):
    signals = [np.arange(11.0), np.arange(11.0) ** 2, np.arange(11.0)]
    labels = [np.repeat([0, 1], [5, 6])] * 2 + [np.full(11, -1)]
    ax = plot_alignment(alignment, signals, labels, action="jump", ax=_axes())
    assert len(ax.lines) == 2
    np.testing.assert_allclose(ax.lines[1].get_xdata(), np.linspace(0, 1, 11) ** 2, atol=1e-6)
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), signals[1])
    colors = ax.collections[0].get_facecolors()
    assert len(np.unique(colors[:5], axis=0)) == len(np.unique(colors[5:], axis=0)) == 1
    assert not np.allclose(colors[0], colors[5])
    ax = plot_alignment(alignment, [np.stack([x, 0 * x], axis=1) for x in signals], ax=_axes())
    np.testing.assert_allclose(ax.lines[0].get_ydata(), signals[0] - 5)
    assert plot_alignment(alignment).get_ylabel() == "video time"
    assert alignment.plot(action="turn", ax=_axes()).lines[0].get_ydata().tolist() == pytest.approx(
        np.linspace(0, 1, 11)
    )


def test_warps_over_prototype_time(alignment):
    ax = plot_warps(alignment, ax=_axes())
    assert [line.get_color() for line in ax.lines] == ["C0", "C1", "C0", "0.6"]
    np.testing.assert_allclose(ax.lines[1].get_ydata(), np.linspace(0, 1, 11) ** 0.5, atol=1e-6)


def test_a_prototype_over_its_labels():
    ax = plot_prototype(np.arange(4.0), np.array([0, 0, 1, -1]), ["down", "up"], ax=_axes())
    assert ax.images[0].get_array().tolist() == [[0, 0, 1, 2]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["down", "up"]
    assert not plot_prototype(np.ones((4, 2)), ax=_axes()).images


def test_what_does_not_fit_is_said(alignment):
    for call, words in (
        (lambda: plot_warps(alignment, action="hop"), "there are: jump, turn"),
        (lambda: plot_alignment(alignment, [np.zeros(3)] * 3), r"`signals` of \[11, 11, 11\] frames"),
        (lambda: plot_alignment(alignment, None, [np.zeros(11, int)]), "`labels`"),
        (lambda: plot_prototype(np.zeros(4), np.zeros(3, int)), "4 `labels`"),
    ):
        with pytest.raises(UserError, match=words):
            call()
