"""Plots of an alignment on matplotlib axes: its videos over prototype time, warps, a prototype with its labels."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap

from tpl_lightning.errors import UserError
from tpl_lightning.evaluation.alignment import Alignment
from tpl_lightning.evaluation.warp import prototype_grid

if TYPE_CHECKING:
    from matplotlib.typing import ColorType

_UNLABELLED: "ColorType" = "0.75"
_MAX_VIDEOS = 40  # curves per panel; more would be a blot
_SPLIT_COLORS = {"train": "C0", "val": "C2", "test": "C1"}
_ROWS = 4000  # frames of which the first component is found
_SOUGHT, _PRODUCTS = 8, 8  # components and products of the subspace iteration (Halko et al. 2011)


def phase_colors(num_phases: int) -> list["ColorType"]:
    """Return one colour per phase; the last stands for no label.

    Example:
        >>> len(phase_colors(3)), phase_colors(3)[-1]
        (4, '0.75')
    """
    shades = mpl.colormaps["turbo"](np.linspace(0.08, 0.92, max(num_phases, 1)))
    return [*shades, _UNLABELLED]


def first_component(embeddings: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return one (L_i,) signal per video: its first principal component, each video's mean removed.

    Args:
        embeddings: (L_i, C) of each video.

    Example:
        >>> [x.round().tolist() for x in first_component([np.array([[0.0, 1.0], [0.0, 3.0]])])]
        [[-1.0, 1.0]]
    """
    centred = [x - x.mean(axis=0) for x in embeddings]
    stacked = np.concatenate(centred)
    some = torch.from_numpy(stacked[:: max(1, len(stacked) // _ROWS)]).float()
    with torch.random.fork_rng(devices=[]):  # the iteration starts at random: always at the same place
        torch.default_generator.manual_seed(0)
        direction = torch.svd_lowrank(some, q=min(_SOUGHT, *some.shape), niter=_PRODUCTS)[2][:, 0].numpy()
    direction = direction * np.sign(direction[np.abs(direction).argmax()])  # one sign, whatever the solver gives
    return [x @ direction for x in centred]


def plot_signal(axes: Axes, x: np.ndarray, y: np.ndarray, labels: np.ndarray, colors: list["ColorType"]) -> None:
    """Draw y over x, thin, with a dot per frame in the colour of its phase."""
    axes.plot(x, y, color="0.8", linewidth=0.6, zorder=1)
    axes.scatter(x, y, c=[colors[k] for k in labels], s=3, linewidths=0, zorder=2)


def plot_alignment(
    alignment: Alignment,
    signals: Sequence[np.ndarray] | None = None,
    labels: Sequence[np.ndarray] | None = None,
    *,
    action: str | None = None,
    num_phases: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw a signal of every video over prototype time, coloured by phase; return the axes.

    Args:
        alignment: The alignment.
        signals: (L_i,) of each of its videos, or embeddings (L_i, C), of which the first component is drawn; None: the
            video's own time.
        labels: (L_i,) phase of each frame, -1 unlabelled; None: without colours.
        action: Only this action; None: all videos.
        num_phases: Colours; None: as many as ``labels`` need.
        ax: Where to draw; None: new axes.

    Raises:
        UserError: If there is no video of the action, or signals or labels do not fit.

    Example:
        >>> ends = np.linspace(0, 1, 9)
        >>> alignment = Alignment.from_rows(
        ...     video_id=["a"], action=["jump"], split=["train"], positions=[ends], sources=[ends]
        ... )
        >>> plot_alignment(alignment).get_xlabel()
        'prototype time'
    """
    rows = _rows(alignment, action)[:_MAX_VIDEOS]
    drawn = _signals(alignment, signals, rows)
    every = [np.full(length, -1) for length in alignment.lengths] if labels is None else labels
    known = [_fitting(alignment, every, "labels")[i] for i in rows]
    colors = phase_colors(num_phases or 1 + max(int(own.max()) for own in known))
    axes = _new_axes(ax)
    for i, signal, own in zip(rows, drawn, known, strict=True):
        plot_signal(axes, alignment.shown(i), signal, own, colors)
    axes.set_xlabel("prototype time")
    axes.set_ylabel("video time" if signals is None else "signal")
    return axes


def plot_warps(alignment: Alignment, *, action: str | None = None, ax: Axes | None = None) -> Axes:
    """Draw T^theta of every video, prototype time to video time, beside the identity; return the axes.

    Blue: training videos, green: validation, orange: test.

    Args:
        alignment: The alignment.
        action: Only this action; None: all videos.
        ax: Where to draw; None: new axes.

    Raises:
        UserError: If there is no video of the action.

    Example:
        >>> ends = np.linspace(0, 1, 9)
        >>> alignment = Alignment.from_rows(
        ...     video_id=["a"], action=["jump"], split=["train"], positions=[ends], sources=[ends]
        ... )
        >>> len(plot_warps(alignment).lines)  # the warp and the identity
        2
    """
    rows, axes = _rows(alignment, action)[:_MAX_VIDEOS], _new_axes(ax)
    for i in rows.tolist():
        grid = prototype_grid(int(alignment.prototype_length[i]))
        style = _SPLIT_COLORS.get(str(alignment.split[i]), "C1")
        source = np.where(alignment.there(i), alignment.source(i), np.nan)
        axes.plot(grid, source, color=style, linewidth=0.8, alpha=0.8)
    axes.plot([0, 1], [0, 1], "--", color="0.6", linewidth=0.7)
    axes.set_xlabel("prototype time")
    axes.set_ylabel("video time")
    axes.set_aspect("equal")
    return axes


def plot_prototype(
    prototype: np.ndarray,
    labels: np.ndarray | None = None,
    phase_names: Sequence[str] = (),
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw a prototype over prototype time, above the strip of its labels; return the axes.

    Args:
        prototype: (L,), or (L, C), of which the first component is drawn.
        labels: (L,) phase of each point, -1 unlabelled; None: no strip.
        phase_names: Names of the phases in order, for the legend.
        ax: Where to draw; None: new axes.

    Raises:
        UserError: If there are not as many labels as points.

    Example:
        >>> axes = plot_prototype(np.linspace(0, 1, 5), np.array([0, 0, 1, 1, 1]), ["down", "up"])
        >>> [text.get_text() for text in axes.get_legend().get_texts()]
        ['down', 'up']
    """
    values = np.asarray(prototype, dtype=np.float64)
    values = first_component([values])[0] if values.ndim == 2 else values
    axes, grid = _new_axes(ax), prototype_grid(len(values))
    axes.plot(grid, values, color="black", linewidth=1.2)
    low, high = np.nanmin(values), np.nanmax(values)
    height = (high - low) or 1.0
    axes.set_xlim(0, 1)
    if labels is not None:
        known = np.asarray(labels)
        if len(known) != len(values):
            raise UserError(f"Expected {len(values)} `labels`, one for each point, but got {len(known)}.")
        colors = phase_colors(max(len(phase_names), int(known.max()) + 1))
        strip: dict[str, Any] = {"extent": (0, 1, low - 0.35 * height, low - 0.1 * height), "aspect": "auto"}
        strip |= {"vmin": -0.5, "vmax": len(colors) - 0.5, "cmap": ListedColormap(colors)}
        axes.imshow(np.where(known < 0, len(colors) - 1, known)[None], **strip)
        axes.set_ylim(low - 0.4 * height, high + 0.1 * height)
        for color, phase in zip(colors, phase_names, strict=False):
            axes.plot([], [], color=color, linewidth=4, label=phase)
        if len(phase_names):
            axes.legend(fontsize=5.5, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return axes


def _new_axes(ax: Axes | None) -> Axes:
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt  # late: it chooses a window system

    return plt.subplots(layout="constrained")[1]


def _rows(alignment: Alignment, action: str | None) -> np.ndarray:
    rows = np.arange(len(alignment)) if action is None else np.flatnonzero(alignment.action == action)
    if len(rows) == 0:
        known = ", ".join(sorted(set(alignment.action.tolist())))
        raise UserError(f"action {action!r}: no video of it in this alignment; there are: {known}.")
    return rows


def _fitting(alignment: Alignment, values: Sequence[np.ndarray], name: str) -> list[np.ndarray]:
    """Return what belongs to the frames of each video as arrays, after a look at the lengths."""
    found = [np.asarray(own) for own in values]
    lengths, wanted = [len(own) for own in found], alignment.lengths.tolist()
    if lengths != wanted:
        raise UserError(f"Expected `{name}` of {wanted} frames, as the videos have, but got {lengths}.")
    return found


def _signals(alignment: Alignment, signals: Sequence[np.ndarray] | None, rows: np.ndarray) -> list[np.ndarray]:
    """Return the (L_i,) signals of some videos."""
    if signals is None:
        return [np.linspace(0, 1, length) for length in alignment.lengths[rows].tolist()]
    every = _fitting(alignment, signals, "signals")
    found = [every[i] for i in rows]
    return first_component(found) if found[0].ndim == 2 else found
