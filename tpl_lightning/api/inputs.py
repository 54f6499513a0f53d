"""What callers from Python give: options by dotted keys, and videos as arrays, caches or paths."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tpl_lightning.api.labels import Labels, as_array
from tpl_lightning.config import Config, differences, flattened, load_config, nested
from tpl_lightning.data import ArrayCache, EmbeddingCache, VideoSet, open_cache
from tpl_lightning.errors import UserError

_ELSEWHERE = {
    "method": "Synchronizer(method=...)",
    "data.cache": "fit(PATH)",
    "resume": "`tpl fit resume=RUN`",
}


def read_options(method: str, options: Mapping[str, Any] | None, seed: Any) -> Config:
    """Return the configuration of a method with options by their dotted keys.

    Args:
        method: As on the command line.
        options: Key to value; values may be nested dictionaries.
        seed: A number, or a ``RandomState`` that draws one; None: as the options say.

    Raises:
        UserError: If a key is unknown, or a value of the wrong type or out of range.
    """
    if not isinstance({} if options is None else options, Mapping):
        raise UserError(f"Expected `options` to be a dict of dotted keys, but got {options!r}.")
    given = flattened({str(key): value for key, value in (options or {}).items()})
    for key, place in _ELSEWHERE.items():
        if key in given:
            raise UserError(f"options: {key} is not given here, but by {place}.")
    if isinstance(seed, np.random.RandomState):
        seed = seed.randint(2**31)
    if not (seed is None or isinstance(seed, (int, np.integer))):
        raise UserError(f"Expected `random_state` to be None, a number or a RandomState, but got {seed!r}.")
    given |= {} if seed is None else {"seed": seed}
    plain = {key: value.item() if isinstance(value, np.generic) else value for key, value in given.items()}
    return load_config(defaults=nested({"method": method, **plain}), origin="options")


def options_of(config: Config) -> dict[str, Any]:
    """Return the options of a configuration by dotted keys, as :func:`read_options` takes them."""
    given = flattened(differences(config))
    return {k: v for k, v in given.items() if k not in (*_ELSEWHERE, "seed") and not k.startswith("run.")}


def is_cache(embeddings: Any) -> bool:
    """Tell whether videos are given as a whole cache: itself, or its path."""
    return isinstance(embeddings, (str, Path, EmbeddingCache))


def read_videos(
    embeddings: Any,
    actions: Any,
    labels: Any,
    known: Labels,
    *,
    default: Callable[[list[np.ndarray]], list[str]],
    least: int = 1,
) -> VideoSet:
    """Return videos of whatever kind as a set.

    Args:
        embeddings: A cache, its path, a set of videos, or arrays, see :func:`read_arrays`.
        actions: Of arrays: what each shows, or one name for all.
        labels: Of arrays: (L_i,) phase of each frame.
        known: The phases that are known; learns those that are not.
        default: Given the arrays, says what each shows where ``actions`` is None.
        least: Arrays that are needed.

    Raises:
        UserError: If they cannot be read, or actions or labels are given beside a cache.
    """
    if is_cache(embeddings):
        embeddings = VideoSet(embeddings if isinstance(embeddings, EmbeddingCache) else open_cache(embeddings))
    if isinstance(embeddings, VideoSet):
        for name, values in (("actions", actions), ("labels", labels)):
            if values is not None:
                raise UserError(
                    f"`{name}` are not given with a cache, which has its own; some of its actions are chosen by "
                    'options={"data.actions": [...]}.'
                )
        return embeddings
    videos = read_arrays(embeddings, least=least)
    shown = default(videos) if actions is None else _action_of_each(actions, len(videos))
    if labels is None:
        return VideoSet(ArrayCache(videos, action=shown))
    numbers = known.read(labels, shown, [len(video) for video in videos])
    names = {action: known.names[action] for action in set(shown)}
    return VideoSet(ArrayCache(videos, action=shown, labels=numbers, phase_names=names))


def read_arrays(embeddings: Any, *, least: int = 1) -> list[np.ndarray]:
    """Return embeddings (L_i, C), float32, of each video.

    Args:
        embeddings: A list of (L_i, C), or (L_i,) of one channel; an array (N, L, C), or (N, L) of one channel.
        least: Videos that are needed.

    Raises:
        UserError: If they are not numbers, not finite, too short, or of several numbers of channels; names the video.
    """
    embeddings = as_array(embeddings)
    shape = getattr(embeddings, "shape", ())
    is_ragged = len(shape) == 1 and embeddings.dtype.kind == "O"
    if shape and not is_ragged:
        options = {"ensure_min_samples": least, "ensure_min_features": 2, "allow_nd": len(shape) == 3}
        embeddings = _checked(embeddings, "", **options)
    elif isinstance(embeddings, Mapping) or not (is_ragged or isinstance(embeddings, Iterable)):
        raise UserError(
            f"embeddings: expected a list of (L_i, C), an array (N, L, C), a cache or a path, but got "
            f"{type(embeddings).__name__}."
        )
    videos = [_checked(as_array(video), f"video {i}: ", ensure_min_samples=2) for i, video in enumerate(embeddings)]
    if len(videos) < least:
        raise UserError(f"Found {len(videos)} sample(s), but at least {least} videos are needed: a list of (L_i, C).")
    for i, video in enumerate(videos):
        if video.shape[1] != videos[0].shape[1]:
            raise UserError(
                f"embeddings: video {i} has {video.shape[1]} channels, but video 0 has {videos[0].shape[1]}; one video "
                "alone goes into a list: [video]."
            )
    return videos


def _checked(values: Any, name: str, **options: Any) -> np.ndarray:
    """Return numbers as float32 after scikit-learn's own look at them; those of a named video in columns."""
    from sklearn.utils import check_array

    try:
        if name and np.ndim(values) == 1:
            values = np.reshape(values, (-1, 1))
        with np.errstate(over="ignore"):  # which is infinity then
            found: np.ndarray = check_array(values, dtype=np.float32, order="C", **options)
    except (TypeError, ValueError) as error:
        if isinstance(error, TypeError) and not name:
            raise  # of a table, as scikit-learn has it
        lines = str(error).splitlines()
        said = " ".join(lines[:: max(len(lines) - 1, 1)])  # the first and the last, not the numbers between
        raise UserError(
            f"embeddings: {name}{said} Expected are finite numbers (frames, channels), at least 2 frames; one video "
            "alone goes into a list: [video]."
        ) from error
    return found


def digest_of(video: np.ndarray) -> str:
    """Return what tells a video, (L, C) float32, from all others."""
    return hashlib.sha256(str(video.shape).encode() + np.ascontiguousarray(video, np.float32).tobytes()).hexdigest()


def _action_of_each(actions: Any, count: int) -> list[str]:
    """Return the action of each video from a list of them, or one name for all."""
    values = actions.tolist() if hasattr(actions, "tolist") else actions
    if isinstance(values, str):
        return [values] * count
    if not isinstance(values, Sequence) or len(values) != count:
        found = len(values) if isinstance(values, Sequence) else repr(actions)
        raise UserError(f"Expected `actions` to be a name, or a list of {count} names, but got {found}.")
    return [str(action) for action in values]
