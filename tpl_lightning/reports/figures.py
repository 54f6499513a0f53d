"""Figures of a run: signals before and after alignment, warps, prototypes, training curves."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from tpl_lightning.aligners import Aligner
from tpl_lightning.data import VideoSet
from tpl_lightning.evaluation import (
    Alignment,
    Scores,
    first_component,
    phase_colors,
    plot_prototype,
    plot_signal,
    plot_warps,
)
from tpl_lightning.files import one_line
from tpl_lightning.tracking import read_log

_MAX_VIDEOS = 40  # curves per panel; more would be a blot


@contextmanager
def _figure(path: Path, rows: int, columns: int, *, width: float, height: float, title: str) -> Iterator[np.ndarray]:
    """Yield panels (rows, columns) of so many inches each, and write them to a file."""
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    yield figure.subplots(rows, columns, squeeze=False)
    figure.suptitle(title, fontsize=8)
    figure.savefig(path, dpi=130)


def _signals(aligner: Aligner, videos: VideoSet) -> tuple[list[np.ndarray], str]:
    """Return one (L_i,) signal per video: the first latent channel, or for others the first component."""
    latents = getattr(aligner, "latents", None)
    if latents is not None:
        return [z[:, 0] for z in latents(videos)], "latent Z"
    return first_component([videos.read(i) for i in range(len(videos))]), "first component"


def _draw_signals(
    path: Path, signals: list[np.ndarray], name: str, alignment: Alignment, videos: VideoSet, source: str
) -> None:
    """Draw the paper's figure 3: signals over their own time, and over prototype time."""
    title = f"Signals coloured by phase. {source}"
    with _figure(path, len(videos.actions), 2, width=4.5, height=2.0, title=title) as axes:
        for row, action in zip(axes, videos.actions, strict=True):
            colors = phase_colors(len(videos.phase_names.get(action, ())))
            for i in np.flatnonzero(videos.action == action)[:_MAX_VIDEOS]:
                labels = videos.labels(i)
                plot_signal(row[0], np.arange(len(labels)), signals[i], labels, colors)
                plot_signal(row[1], alignment.shown(i), signals[i], labels, colors)
            row[0].set_ylabel(f"{one_line(action)}\n{name}", fontsize=8)
        axes[0, 0].set_title("before: frame", fontsize=9)
        axes[0, 1].set_title("after: prototype time", fontsize=9)


def _draw_warps(path: Path, alignment: Alignment, videos: VideoSet, source: str) -> None:
    """Draw T^theta of every video: prototype time to video time."""
    count = len(videos.actions)
    columns = min(count, 5)
    title = f"Warps T (blue train, green val, orange test). {source}"
    with _figure(path, -(-count // columns), columns, width=2.6, height=2.6, title=title) as axes:
        for panel in axes.flat[count:]:
            panel.set_axis_off()
        for panel, action in zip(axes.flat, videos.actions, strict=False):
            plot_warps(alignment, action=action, ax=panel)
            panel.set_title(one_line(action), fontsize=9)
            panel.set_xlabel("prototype time", fontsize=7)
            panel.set_ylabel("video time" if panel is axes[0, 0] else "", fontsize=7)
            panel.tick_params(labelsize=6)


def _mean_signal(signals: list[np.ndarray], alignment: Alignment, rows: np.ndarray) -> np.ndarray:
    """Average signals of videos on the prototype timeline (equation 7, for one channel); NaN where no video is."""
    times = [alignment.source(i) * (len(signals[i]) - 1) for i in rows]
    held = [np.interp(t, np.arange(len(signals[i])), signals[i]) for t, i in zip(times, rows, strict=True)]
    missing = [~alignment.there(i) for i in rows]
    return np.ma.array(held, mask=missing).mean(axis=0).filled(np.nan)


def _draw_prototypes(
    path: Path, signals: list[np.ndarray], name: str, alignment: Alignment, videos: VideoSet, scores: Scores
) -> None:
    """Draw the prototype of each action above the strip of its labels."""
    title = "Prototypes and their labels over prototype time"
    with _figure(path, len(videos.actions), 1, width=8.0, height=1.7, title=title) as axes:
        for panel, action in zip(axes[:, 0], videos.actions, strict=True):
            rows = np.flatnonzero((videos.action == action) & (alignment.split == "train"))
            if len(rows) == 0:
                continue
            names = [one_line(phase).lstrip("_") for phase in videos.phase_names.get(action, [])]
            plot_prototype(_mean_signal(signals, alignment, rows), scores.prototype_labels[action], names, ax=panel)
            panel.set_ylabel(f"{one_line(action)}\n{name}", fontsize=8)
            panel.tick_params(labelsize=7)


_LOSSES = ("train/loss", "train/icae", "train/reconstruction")
_SCORES = ("train/cbc", "val/plp", "val/event_spread")
_ICAE = tuple(f"diagnosis/icae{which}_{split}" for which in ("", "_identity") for split in ("train", "val"))
_SHARES = tuple(f"diagnosis/{name}_{split}" for name in ("left_over", "clock") for split in ("train", "val"))


def _draw_curves(path: Path, log: Path) -> None:
    """Draw the losses, with lambda_t where it is annealed, the scores and the diagnosis, where there are any."""
    curves = {name: tuple(zip(*pairs, strict=True)) for name, pairs in read_log(log).items()}
    logged = [[name for name in names if name in curves] for names in (_LOSSES, _SCORES, _ICAE, _SHARES)]
    groups = [names for names in logged if names]
    if not groups:
        return
    with _figure(path, 1, len(groups), width=5.0, height=3.2, title="") as axes:
        for panel, names in zip(axes[0], groups, strict=True):
            for name in names:
                draw = panel.semilogy if name in (*_LOSSES, *_ICAE) else panel.plot
                draw(*curves[name], marker=".", markersize=3, linewidth=1, label=name)
            panel.set_xlabel("epoch")
            panel.legend(fontsize=7)
        if "train/icae_weight" in curves:
            weight = axes[0, 0].twinx()
            weight.plot(*curves["train/icae_weight"], "--", color="0.5")
            weight.set(ylabel="lambda_t (dashed)", ylim=(-0.05, 1.05))


def draw_alignment(
    folder: Path, aligner: Aligner, alignment: Alignment, videos: VideoSet, scores: Scores, source: str
) -> None:
    """Draw latents, warps and prototypes into a folder."""
    signals, name = _signals(aligner, videos)
    source = one_line(source)
    with mpl.rc_context({"text.parse_math": False}):  # a dollar in a name is a dollar
        _draw_signals(folder / "latents.png", signals, name, alignment, videos, source)
        _draw_warps(folder / "warps.png", alignment, videos, source)
        _draw_prototypes(folder / "prototypes.png", signals, name, alignment, videos, scores)


def draw_run(
    run_dir: Path, aligner: Aligner, alignment: Alignment, videos: VideoSet, scores: Scores, source: str
) -> None:
    """Draw all figures of a run into ``run_dir/figures``."""
    folder = run_dir / "figures"
    draw_alignment(folder, aligner, alignment, videos, scores, source)
    _draw_curves(folder / "curves.png", run_dir / "metrics.csv")
