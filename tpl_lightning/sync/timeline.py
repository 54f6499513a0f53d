"""A picture of what a recording shows when: a row for each action, long recordings on several lines."""

import io
import math
from collections.abc import Sequence

import numpy as np

from tpl_lightning.labels import Occurrence

_LINE_S, _LINES = 60.0, 12  # a line lasts a minute, or more where there would be more lines than so many
_ROW, _WIDTH = 0.28, 10.0  # inches


def draw_timeline(found: Sequence[Occurrence], actions: Sequence[str], duration_s: float, *, title: str) -> bytes:
    """Draw occurrences, pale where they are doubtful, with a line where each phase begins; return a PNG.

    Args:
        found: The occurrences.
        actions: The rows.
        duration_s: Length of the recording.
        title: What is written above it.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    lines = min(max(math.ceil(duration_s / _LINE_S - 0.1), 1), _LINES)
    span = duration_s / lines
    height = lines * (_ROW * len(actions) + 0.45) + 0.4
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    shades = mpl.colormaps["turbo"](np.linspace(0.1, 0.9, max(len(actions), 2)))
    for number, axes in enumerate(figure.subplots(lines, 1, squeeze=False)[:, 0]):
        for one in found:
            row = actions.index(one.action)
            shade = {"facecolor": shades[row], "alpha": float(np.clip(one.score, 0.3, 1.0))}
            axes.broken_barh([(one.start_s, one.end_s - one.start_s)], (row - 0.4, 0.8), **shade)
            axes.vlines(one.phase_starts_s[1:], row - 0.4, row + 0.4, color="white", linewidth=0.7)
        axes.set_xlim(number * span, (number + 1) * span)
        axes.set_ylim(len(actions) - 0.5, -0.5)
        axes.set_yticks(range(len(actions)), actions, fontsize=8)
        axes.tick_params(axis="x", labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
        axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.set_xlabel("seconds", fontsize=8)
    figure.suptitle(title, fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
