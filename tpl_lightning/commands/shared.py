"""What the commands share that fit and score: the data that a configuration names, and scores as metrics."""

from typing import Any

from tpl_lightning import data, datasets, evaluation, functional
from tpl_lightning.config import Config


def open_data(config: Config, *, most_frames: int | None = None) -> "data.EmbeddingCache":
    """Find or make the cache, check it, and return it.

    Args:
        config: The configuration.
        most_frames: Frames that are read for the check; None: all.
    """
    path = functional.on_rank_zero(lambda: datasets.find_or_make_cache(config.data, progress=config.run.progress))
    cache = data.open_cache(path, config.data.groups)
    cache.validate(most_frames=most_frames)
    return cache


def flat_scores(scores: "evaluation.Scores", prefix: str = "") -> dict[str, Any]:
    """Return scores by the keys of metrics.json, those of single actions with their name behind."""
    flat = {f"{prefix}{key}": value for key, value in scores.overall.items()}
    for action, values in scores.per_action.items():
        flat |= {f"{prefix}{key}/{action}": value for key, value in values.items()}
    return flat
