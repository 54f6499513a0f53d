"""What an aligner keeps of its training set, and what it asks of other videos."""

from typing import Any

import numpy as np

from tpl_lightning.data import VideoSet
from tpl_lightning.errors import UserError


def median_lengths(train: VideoSet) -> dict[str, int]:
    """Return the prototype length of each action: the median length of its training videos, in frames."""
    return {a: int(np.median(train.lengths[train.action == a])) for a in train.actions}


def longest_lengths(train: VideoSet) -> dict[str, int]:
    """Return the length of the longest training video of each action, in frames."""
    return {a: int(train.lengths[train.action == a].max()) for a in train.actions}


def dataset_metadata(train: VideoSet, num_channels: int, prototype_length: str = "median") -> dict[str, Any]:
    """Describe the training set in primitives, for a checkpoint.

    Args:
        train: Training videos.
        num_channels: Channels after preprocessing.
        prototype_length: ``median`` or ``longest``, of an action's training videos.

    Example:
        >>> from tpl_lightning.data import ArrayCache
        >>> videos = VideoSet(ArrayCache([np.eye(4), np.eye(6, 4)], action=["jump", "jump"]))
        >>> dataset_metadata(videos, num_channels=4)["prototype_lengths"]
        [5]
    """
    cache = train.cache
    lengths = median_lengths(train) if prototype_length == "median" else longest_lengths(train)
    return {
        "actions": list(lengths),
        "prototype_lengths": list(lengths.values()),
        "phase_names": {a: list(cache.phase_names.get(a, [])) for a in lengths},
        "num_channels": num_channels,
        "dataset": cache.dataset,
        "extractor": cache.extractor,
        "embedding_channels": cache.num_channels,
        "feature_groups": [tuple(group) for group in cache.feature_groups],
    }


def check_videos(videos: VideoSet, metadata: dict[str, Any]) -> None:
    """Check that videos are of the kind that an aligner was fitted on.

    Raises:
        UserError: If an action is unknown, or the embeddings have another number of channels.
    """
    known, channels = metadata["actions"], metadata["embedding_channels"]
    unknown = sorted(set(videos.actions) - set(known))
    if unknown:
        raise UserError(
            f"{videos.cache.path}: action {unknown[0]!r} has no prototype in the checkpoint (it has "
            f"{', '.join(known)}); name the actions to keep with data.actions=[...]."
        )
    # Checkpoints of earlier versions know one group only; one may have any name.
    groups, found = metadata.get("feature_groups", []), [tuple(group) for group in videos.cache.feature_groups]
    if max(len(groups), len(found)) > 1 and groups != found and groups:
        names = ",".join(name for name, _ in groups)
        raise UserError(
            f"{videos.cache.path}: feature groups {_groups_text(found)}, but the checkpoint was trained on "
            f"{_groups_text(groups)}; embed or join the same parts, and pick them in this order with "
            f"data.groups=[{names}]."
        )
    if videos.num_channels != channels:
        raise UserError(
            f"{videos.cache.path}: {videos.num_channels} channels per frame, but the checkpoint was trained "
            f"on {channels} ({metadata['extractor']}); embed the videos with the same extractor."
        )


def _groups_text(groups: list[tuple[Any, ...]]) -> str:
    return " + ".join(f"{name} ({channels} channels)" for name, channels in groups)


def stored_metadata(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """Return the description of the training set that a checkpoint holds; earlier versions called it a catalogue."""
    stored = checkpoint["hyper_parameters"]
    found: dict[str, Any] = stored["metadata"] if "metadata" in stored else stored["catalogue"]
    return found
