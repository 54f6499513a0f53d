"""Draw the pictures of docs/warps.md: ``python docs/make_figures.py``."""

from pathlib import Path

import matplotlib as mpl
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tpl_lightning.functional.warps import cpab_warp, knot_velocity, sample_warps

IMAGES = Path(__file__).parent / "images"
COLORS = ("#2f5d8a", "#d1603d", "#4b8f5c", "#8a5a9e")
GRID = torch.linspace(0, 1, 401, dtype=torch.float64)
STYLE = {
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "0.5",
    "axes.linewidth": 0.7,
    "xtick.color": "0.35",
    "ytick.color": "0.35",
    "axes.labelcolor": "0.2",
    "legend.frameon": False,
    "lines.solid_capstyle": "round",
}


def _unit_axis(axis: Axes, title: str, x: str, y: str) -> None:
    axis.set(title=title, xlabel=x, ylabel=y, xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axis.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    axis.set_yticks([0, 0.5, 1], ["0", "½", "1"])


def _fields(axis: Axes, theta: torch.Tensor, cells: int, colors: tuple[str, ...], **line: object) -> None:
    """Draw velocity fields over the borders of their cells."""
    knots = torch.linspace(0, 1, cells + 1)
    for border in knots:
        axis.axvline(float(border), color="0.9", linewidth=0.6, zorder=0)
    axis.axhline(0, color="0.6", linewidth=0.7, zorder=1)
    for velocity, color in zip(knot_velocity(theta, num_cells=cells), colors, strict=True):
        axis.plot(knots, velocity, color=color, **line)
    axis.set(xlim=(0, 1))
    axis.set_xticks([0, 0.5, 1], ["0", "½", "1"])


def draw_warps(path: Path) -> None:
    """Draw four fields of eight cells, the flow of one, the warps and their inverses."""
    theta = torch.tensor(
        [
            [0.9, 1.9, 2.5, 2.7, 2.5, 1.9, 0.9],
            [-0.6, -1.4, -2.3, -2.5, -1.7, -0.9, -0.3],
            [1.3, 2.1, 1.6, 0.0, -1.6, -2.1, -1.3],
            [-1.0, -1.7, -0.6, 1.3, 1.9, 0.4, -0.7],
        ],
        dtype=torch.float64,
    )
    figure = Figure(figsize=(9.6, 2.62), layout="constrained")
    field, flow, warp, inverse = figure.subplots(1, 4)
    _fields(field, theta, 8, COLORS, linewidth=1.8, marker="o", markersize=2.8, clip_on=False)
    field.set(title="velocity field v", xlabel="x", ylabel="v(x)", box_aspect=1)
    times = torch.linspace(0, 1, 61, dtype=torch.float64)
    starts = torch.linspace(0, 1, 17, dtype=torch.float64)
    # The flow for a time t is the warp of t theta.
    tracks = cpab_warp(times[:, None] * theta[3], starts, num_cells=8)
    flow.plot(times, tracks, color=COLORS[3], linewidth=1.1)
    _unit_axis(flow, "flow of the violet field", "t", "x(t)")
    for axis, sign, title, label in ((warp, 1, "warp T", "T(x)"), (inverse, -1, "inverse: the flow of −v", "T⁻¹(x)")):
        axis.plot([0, 1], [0, 1], color="0.75", linewidth=0.8, dashes=(4, 3))
        for row, color in zip(cpab_warp(sign * theta, GRID, num_cells=8), COLORS, strict=True):
            axis.plot(GRID, row, color=color, linewidth=1.8)
        _unit_axis(axis, title, "x", label)
    figure.savefig(path, dpi=180)


def draw_prior(path: Path) -> None:
    """Draw fields and warps from the prior at three length scales, one of each in a colour of its own."""
    scales, count = (0.1, 0.5, 2.0), 24
    colors = (COLORS[0],) * (count - 1) + (COLORS[1],)
    figure = Figure(figsize=(8.2, 4.9), layout="constrained")
    axes = figure.subplots(2, len(scales), height_ratios=(0.62, 1), sharey="row")
    for (upper, lower), scale in zip(axes.T, scales, strict=True):
        generator = torch.Generator().manual_seed(11)
        theta = sample_warps(count, length_scale=scale, variance=1.0, generator=generator, dtype=torch.float64)
        _fields(upper, theta, 16, colors, linewidth=1.0)
        upper.set(title=f"length_scale = {scale:g}", ylim=(-0.55, 0.55))
        upper.set_yticks([-0.5, 0, 0.5], ["−½", "0", "½"])
        _unit_axis(lower, "", "x", "")
        lower.plot([0, 1], [0, 1], color="0.75", linewidth=0.8, dashes=(4, 3))
        lower.plot(GRID, cpab_warp(theta, GRID).T, linewidth=1.0)
        for axis in (upper, lower):
            for line, color in zip(axis.lines[-count:], colors, strict=True):
                line.set(color=color, alpha=0.45 if color == COLORS[0] else 1)
            axis.lines[-1].set_linewidth(2.2)
    axes[0, 0].set_ylabel("v(x)")
    axes[1, 0].set_ylabel("T(x)")
    figure.savefig(path, dpi=180)


def main() -> None:
    """Draw all."""
    IMAGES.mkdir(exist_ok=True)
    with mpl.rc_context(STYLE):
        draw_warps(IMAGES / "warps.png")
        draw_prior(IMAGES / "warps_prior.png")


if __name__ == "__main__":
    main()
