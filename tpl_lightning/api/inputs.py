"""What callers from Python give: options by dotted keys, and videos as arrays, caches or paths."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tpl_lightning.config import Config, flattened, load_config, nested
from tpl_lightning.data import ArrayCache, EmbeddingCache, VideoSet, open_cache, split_videos
from tpl_lightning.errors import UserError
from tpl_lightning.runs import CHECKED_FRAMES

_DEFAULT_ACTION = "action"  # where callers do not name one
_ELSEWHERE = {
    "method": "Synchronizer(method=...)",
    "data.cache": "fit(PATH)",
    "resume": "`tpl fit resume=RUN`",
}


def read_options(method: str, options: Mapping[str, Any] | None, seed: int | None) -> Config:
    """Return the configuration of a method with options by their dotted keys.

    Args:
        method: As on the command line.
        options: Key to value; values may be nested dictionaries.
        seed: None: as the options say.

    Raises:
        UserError: If a key is unknown, or a value of the wrong type or out of range.
    """
    if options is not None and not isinstance(options, Mapping):
        raise UserError(f"Expected `options` to be a dict of dotted keys, but got {options!r}.")
    given = flattened({str(key): value for key, value in (options or {}).items()})
    for key, place in _ELSEWHERE.items():
        if key in given:
            raise UserError(f"options: {key} is not given here, but by {place}.")
    plain = {key: value.item() if isinstance(value, np.generic) else value for key, value in given.items()}
    tree = nested({"method": method, **plain})
    if seed is not None:
        tree["seed"] = seed
    return load_config(defaults=tree, origin="options")


def stored_videos(embeddings: Any) -> VideoSet | None:
    """Return the videos of a cache, a path or a set of videos; None where arrays are given."""
    if isinstance(embeddings, (str, Path)):
        embeddings = open_cache(embeddings)
    if isinstance(embeddings, EmbeddingCache):
        return VideoSet(embeddings)
    return embeddings if isinstance(embeddings, VideoSet) else None


def _plain(values: Any) -> Any:
    """Return a tensor as an array, of whatever device and whether or not a gradient is kept; all else as it is."""
    detach = getattr(values, "detach", None)
    return detach().cpu().float().numpy() if detach is not None else values


def read_arrays(embeddings: Any, *, least: int = 1) -> list[np.ndarray]:
    """Return embeddings (L_i, C), float32, of each video.

    Args:
        embeddings: A list of (L_i, C), or (L_i,) of one channel; an array (N, L, C), or (N, L) of one channel.
        least: Videos that are needed.

    Raises:
        UserError: If they are not numbers, not finite, too short, or of several numbers of channels; names the video.
    """
    embeddings = _plain(embeddings)
    shape = getattr(embeddings, "shape", ())
    is_ragged = len(shape) == 1 and embeddings.dtype.kind == "O"
    if shape and not is_ragged:
        embeddings = _rectangular(embeddings, least)
    elif isinstance(embeddings, Mapping) or not (is_ragged or isinstance(embeddings, Iterable)):
        raise UserError(
            f"embeddings: expected a list of (L_i, C), an array (N, L, C), a cache or a path, but got "
            f"{type(embeddings).__name__}."
        )
    videos = [_video(values, i) for i, values in enumerate(embeddings)]
    if len(videos) < least:
        raise UserError(f"Found {len(videos)} sample(s), but at least {least} videos are needed: a list of (L_i, C).")
    channels = [video.shape[1] for video in videos]
    odd = next((i for i, count in enumerate(channels) if count != channels[0]), None)
    if odd is not None:
        raise UserError(
            f"embeddings: video {odd} has {channels[odd]} channels, but video 0 has {channels[0]}; one video alone "
            "goes into a list: [video]."
        )
    return videos


def _rectangular(embeddings: Any, least: int) -> np.ndarray:
    """Return videos of equal lengths, after scikit-learn's own look at them."""
    from sklearn.utils import check_array

    is_deep = len(getattr(embeddings, "shape", ())) == 3
    try:
        checked: np.ndarray = check_array(
            embeddings, dtype=np.float32, allow_nd=is_deep, ensure_min_samples=least, ensure_min_features=2
        )
    except ValueError as error:
        lines = str(error).splitlines()
        first_and_last = " ".join(lines[:: max(len(lines) - 1, 1)])  # not the numbers between
        raise UserError(f"embeddings: {first_and_last}") from error
    return checked


def _video(values: Any, index: int) -> np.ndarray:
    """Return one video as (L, C) float32."""
    try:
        found = np.asarray(_plain(values))
        if found.dtype.kind == "c":
            raise ValueError("Complex data not supported")
        with np.errstate(over="ignore"):
            found = np.ascontiguousarray(found, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise UserError(f"embeddings: video {index} is no array of numbers ({error}).") from error
    found = found[:, None] if found.ndim == 1 and found.size > 1 else found
    if found.ndim != 2 or len(found) < 2 or found.shape[1] < 1:
        raise UserError(
            f"embeddings: video {index} has shape {np.shape(values)}, expected (frames, channels) with at least 2 "
            "frames; one video alone goes into a list: [video]."
        )
    if not np.isfinite(found).all():
        raise UserError(
            f"embeddings: video {index} holds NaN, infinity, or values beyond float32; mend or leave it out."
        )
    return found


def digest_of(video: np.ndarray) -> str:
    """Return what tells a video, (L, C) float32, from all others."""
    return hashlib.sha256(str(video.shape).encode() + np.ascontiguousarray(video, np.float32).tobytes()).hexdigest()


class Labels:
    """Phases as callers name them, whole numbers or texts, and their numbers within an action.

    Args:
        names: Action to the names of its phases in order.
        are_text: Whether callers see the names; else the numbers.
    """

    def __init__(self, names: Mapping[str, Sequence[str]], *, are_text: bool = False) -> None:
        """Keep the names."""
        self.names, self.are_text = {action: list(known) for action, known in names.items()}, are_text

    @classmethod
    def learn(cls, labels: Any, actions: Sequence[str], lengths: Sequence[int]) -> "tuple[Labels, list[np.ndarray]]":
        """Return the phases of labels, and the labels as numbers; texts are in the order of their mean time.

        Args:
            labels: (L_i,) of each video; -1, or an empty text, is unlabelled.
            actions: Of each video.
            lengths: Frames of each video.
        """
        checked = _frame_labels(labels, lengths)
        are_text = any(own.dtype.kind == "U" for own in checked)
        when: dict[str, dict[str, list[float]]] = {action: {} for action in actions}
        for action, own in zip(actions, checked, strict=True):
            for phase in np.unique(own) if are_text else ():
                times = np.flatnonzero(own == phase) / max(len(own) - 1, 1)
                when[action].setdefault(str(phase), []).append(float(times.mean()))
        names = {a: sorted((p for p in found if p), key=lambda p: np.mean(found[p])) for a, found in when.items()}
        known = cls(names, are_text=are_text)
        return known, known._numbers(checked, actions)

    def read(self, labels: Any, actions: Sequence[str], lengths: Sequence[int]) -> list[np.ndarray]:
        """Return labels as numbers; phases that were not known before come behind the others."""
        return self._numbers(_frame_labels(labels, lengths), actions)

    def shown(self, numbers: np.ndarray, action: str) -> np.ndarray:
        """Return numbers as the caller names phases."""
        if not self.are_text:
            return numbers
        return np.array([*self.names.get(action, ()), ""])[numbers]  # the last for -1

    def _numbers(self, labels: list[np.ndarray], actions: Sequence[str]) -> list[np.ndarray]:
        found = []
        for own, action in zip(labels, actions, strict=True):
            names = self.names.setdefault(action, [])
            if own.dtype.kind == "U":
                names += [phase for phase in np.unique(own).tolist() if phase and phase not in names]
                number = {phase: k for k, phase in enumerate(names)} | {"": -1}
                own = np.array([number[phase] for phase in own.tolist()])
            names += [str(k) for k in range(len(names), int(own.max()) + 1)]
            found.append(own.astype(np.int16))
        return found


def _frame_labels(labels: Any, lengths: Sequence[int]) -> list[np.ndarray]:
    """Return labels as arrays of texts or whole numbers, after a look at them."""
    if isinstance(labels, str) or not hasattr(labels, "__len__") or len(labels) != len(lengths):
        count = len(labels) if hasattr(labels, "__len__") else repr(labels)
        raise UserError(f"Expected `labels` of {len(lengths)} videos, (L_i,) each, but got {count}.")
    checked = []
    for i, (own, length) in enumerate(zip(labels, lengths, strict=True)):
        values = np.full(length, -1) if own is None else np.asarray(_plain(own))
        values = values.astype(str) if values.dtype.kind == "O" else values
        if values.shape != (length,):
            raise UserError(f"labels: video {i} has {length} frames, but labels of shape {values.shape}.")
        if values.dtype.kind not in "iufbU" or (
            values.dtype.kind != "U" and not ((values == np.round(values)) & (values >= -1) & (values < 2**15)).all()
        ):
            raise UserError(f"labels: expected whole numbers from -1 on, or texts, but video {i} has {values[:5]}.")
        checked.append(values)
    if any(values.dtype.kind == "U" for values in checked):  # of videos without labels beside those with texts
        return [values if values.dtype.kind == "U" else np.full(values.shape, "") for values in checked]
    return checked


def array_videos(
    videos: list[np.ndarray], actions: Sequence[str], labels: list[np.ndarray] | None, known: Labels | None
) -> VideoSet:
    """Return arrays as a set of videos, see :class:`ArrayCache`."""
    names = {} if known is None else {action: known.names.get(action, []) for action in set(actions)}
    return VideoSet(ArrayCache(videos, action=actions, labels=labels, phase_names=names))


def action_of_each(actions: Any, count: int) -> list[str]:
    """Return the action of each video from a list of them, or one name for all."""
    if isinstance(actions, str):
        return [actions] * count
    if not isinstance(actions, Sequence) and not hasattr(actions, "tolist"):
        raise UserError(f"Expected `actions` to be a name, or a list of {count} names, but got {actions!r}.")
    named = [str(action) for action in (actions.tolist() if hasattr(actions, "tolist") else actions)]
    if len(named) != count:
        raise UserError(f"Expected {count} `actions`, one for each video, but got {len(named)}.")
    return named


def refuse_with_cache(actions: Any, labels: Any) -> None:
    """Raise UserError if actions or labels are given beside a cache."""
    if actions is not None or labels is not None:
        name = "actions" if actions is not None else "labels"
        raise UserError(
            f"`{name}` are not given with a cache, which has its own; some of its actions are chosen by "
            'options={"data.actions": [...]}.'
        )


def training_videos(
    embeddings: Any, actions: Any, labels: Any, config: Config
) -> tuple[VideoSet, VideoSet | None, Labels]:
    """Return the videos to train on and those to validate with, and how phases are called, as ``fit`` does."""
    stored = stored_videos(embeddings)
    if stored is not None:
        refuse_with_cache(actions, labels)
        stored.cache.validate(most_frames=CHECKED_FRAMES)
        if isinstance(embeddings, VideoSet):
            return stored.with_split(np.full(len(stored), "train")), None, Labels(stored.phase_names)
        splits = split_videos(stored, config.data)
        return splits.train, splits.val if len(splits.val) else None, Labels(stored.phase_names)
    videos = read_arrays(embeddings, least=2)
    named = action_of_each(_DEFAULT_ACTION if actions is None else actions, len(videos))
    if labels is None:
        return array_videos(videos, named, None, None), None, Labels({})
    names, numbers = Labels.learn(labels, named, [len(video) for video in videos])
    return array_videos(videos, named, numbers, names), None, names
