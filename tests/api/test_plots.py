"""The plots at the door of the Python API, of what an estimator has fitted."""

import numpy as np
from matplotlib.figure import Figure

from tpl_lightning import Synchronizer
from tpl_lightning.api.plots import plot_alignment, plot_prototype, plot_warps


def test_what_was_fitted_is_drawn():
    videos = [np.cumsum(np.ones((length, 2)), axis=0) for length in (20, 30)]
    labels = [np.arange(len(video)) * 2 // len(video) for video in videos]
    sync = Synchronizer("linear").fit(videos, labels=labels)
    axes = Figure().subplots(3)
    assert plot_alignment(sync.alignment_, ax=axes[0]) is axes[0]
    assert plot_warps(sync.alignment_, ax=axes[1]) is axes[1]
    assert len(axes[1].lines) >= 2
    signal, names = sync.prototypes_["action"][:, 0], sync.phase_names_["action"]
    plot_prototype(signal, sync.prototype_labels_["action"], names, ax=axes[2])
    assert axes[2].has_data()
