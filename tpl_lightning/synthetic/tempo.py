"""Random tempo: how far an action has come at each frame of a clip.

A clip shows one repetition at a pace that nobody would call even: it speeds up, slows down and now and then almost
stops. The pace is a positive rate over clip time, and progress is its normalised integral, so it is smooth and
strictly increasing.
"""

import numpy as np

PACE_WAVES = 3
"""Half-wave cosines that make up the smooth part of the log pace."""

PACE_DEVIATION = 0.4
"""Standard deviation of the smooth part of the log pace at strength 1."""

HOLD_PROBABILITIES = (0.2, 0.45, 0.35)
"""Chances of no, one and two holds in a clip."""

HOLD_DEPTH = (1.8, 3.2)
"""Range of the drop of the log pace in a hold at strength 1: 6 to 25 times slower."""

HOLD_WIDTH = (0.03, 0.08)
"""Range of the half-width of a hold as a share of the clip."""

_STEPS_PER_FRAME = 8


def random_progress(num_frames: int, *, strength: float, rng: np.random.Generator) -> np.ndarray:
    r"""Draw a random tempo and return the progress of the action at each frame.

    With clip time :math:`s \in [0, 1]` and a random smooth function :math:`g` (a few cosines minus bumps where the
    action is held):

    .. math:: \text{progress}(s) = \int_0^s e^{\text{strength}\, g(r)} dr \Big/ \int_0^1 e^{\text{strength}\, g(r)} dr

    Convention:
        The map goes from clip time to progress, both in [0, 1]; frame ``u`` sits at clip time
        ``u / (num_frames - 1)``. Both ends stay: the first value is exactly 0, the last exactly 1. Strength 0 is the
        identity, an even pace.

    Args:
        num_frames: frames of the clip, at least 2.
        strength: how uneven the pace is, at least 0; 1 is the pace of the procedural set.
        rng: source of randomness; the same number of values is drawn for every strength.

    Returns:
        Strictly increasing progress in [0, 1], shape (num_frames,), float32.

    Raises:
        ValueError: if ``num_frames`` is below 2 or ``strength`` is negative.
    """
    if num_frames < 2:
        raise ValueError(f"Expected `num_frames` >= 2, but got {num_frames}.")
    if strength < 0:
        raise ValueError(f"Expected `strength` >= 0, but got {strength}.")
    steps = (num_frames - 1) * _STEPS_PER_FRAME
    middle = (np.arange(steps) + 0.5) / steps
    rate = np.exp(strength * _log_pace(middle, rng))
    total = np.concatenate([[0.0], np.cumsum(rate)])[::_STEPS_PER_FRAME]
    progress = (total / total[-1]).astype(np.float32)
    if not np.all(np.diff(progress) > 0):
        raise ValueError(f"Expected a `strength` with which progress rises in float32, but got {strength}: lower it.")
    return progress


def _log_pace(time: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Random log pace at the given clip times: cosines of falling size, less one bump for each hold."""
    order = np.arange(1, PACE_WAVES + 1)
    weights = rng.standard_normal(PACE_WAVES) / np.sqrt(order)
    weights *= PACE_DEVIATION / np.sqrt(0.5 * np.sum(1.0 / order))
    pace = np.cos(np.pi * time[:, None] * order) @ weights
    num_holds = int(rng.choice(len(HOLD_PROBABILITIES), p=HOLD_PROBABILITIES))
    for hold in range(len(HOLD_PROBABILITIES) - 1):
        # Values are drawn for holds that do not happen too, so that what follows in the stream does not depend on them.
        centre, depth, width = rng.uniform(0.08, 0.92), rng.uniform(*HOLD_DEPTH), rng.uniform(*HOLD_WIDTH)
        if hold < num_holds:
            # A flat bump: the pace stays low for a while instead of touching its lowest point.
            pace = pace - depth * np.exp(-(((time - centre) / width) ** 4))
    return pace
