"""Embeddings that someone else has computed: one .npy, .npz or .pt file per video, and a CSV list of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tpl_lightning.data import EmbeddingCacheWriter
from tpl_lightning.errors import UserError, first_line
from tpl_lightning.features import Clip, annotate, choose_splits, read_list
from tpl_lightning.labels import numbered_phases, read_annotations, read_fps, spans_of_labels
from tpl_lightning.video import VideoClock

_ENDINGS = (".npy", ".npz", ".pt", ".pth", ".txt")


def import_embeddings(
    listed: str | Path,
    out: str | Path,
    *,
    dataset: str,
    extractor: str = "imported",
    annotations: str | Path | None = None,
    dtype: str = "float16",
) -> Path:
    """Write a cache from files of embeddings.

    Args:
        listed: CSV with the columns ``path`` (.npy of shape (T, C); .npz or .pt with one such array, or with
            ``embeddings`` and optionally ``labels``) and ``action``; optional ``video_id``, ``split``, ``fps`` and
            ``labels`` (a .npy or .txt file of one phase index per frame, -1 unlabelled).
        out: the cache file to write.
        dataset: name of the data set in the cache.
        extractor: what made the embeddings, in words.
        annotations: phases by the names of the videos, see :func:`read_annotations`.
        dtype: ``float16`` or ``float32`` on disk.

    Returns:
        Path of the cache.

    Raises:
        UserError: if a file is missing, cannot be read or holds something else; names it.
    """
    listed = Path(listed)
    clips, videos = [], []
    for row in read_list(listed):
        path = Path(row["path"])
        embeddings, labels = _read(path, row.get("labels"), listed.parent)
        phases = None if labels is None else spans_of_labels(labels.astype(np.int64))
        clips.append(Clip(row.get("video_id", path.stem), row["action"], row.get("split", ""), path, phases=phases))
        videos.append((embeddings, read_fps(row.get("fps", "24"), listed, row.line)))
    clips = choose_splits(clips)
    names = numbered_phases((clip.action, clip.phases.num_phases) for clip in clips if clip.phases is not None)
    if annotations is not None:
        clips, names = annotate(clips, read_annotations(annotations))
    source = f"embeddings: {len(clips)} files of {listed.name}"
    with EmbeddingCacheWriter(
        out, dataset=dataset, extractor=extractor, source=source, phase_names=names, dtype=dtype
    ) as writer:
        for clip, (embeddings, fps) in zip(clips, videos, strict=True):
            clock, count = VideoClock.even(len(embeddings), fps), clip.num_frames
            writer.append(
                video_id=clip.video_id,
                action=clip.action,
                split=clip.split,
                embeddings=embeddings[:count],
                labels=None if clip.phases is None else clip.phases.labels(clock)[:count],
                fps=fps,
            )
    return Path(out)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays in a .npy, .npz, .pt or .txt file by their names; one without a name under an empty one.

    Raises:
        UserError: If it cannot be read.
    """
    ending = path.suffix.lower()
    if ending not in _ENDINGS:
        raise UserError(f"{path}: expected a file of arrays ({', '.join(_ENDINGS)}), but got another ending.")
    try:
        # A file of someone else's must not run code: no pickles, and of PyTorch weights only.
        if ending in (".npy", ".npz"):
            content: Any = np.load(path, allow_pickle=False)
        elif ending == ".txt":
            content = np.loadtxt(path)
        else:
            import torch

            content = torch.load(path, map_location="cpu", weights_only=True)
        named = content if isinstance(content, Mapping) else {"": content}
        return {key: np.asarray(value.float() if hasattr(value, "float") else value) for key, value in named.items()}
    except Exception as error:  # unpickling, zip and format errors have no class in common
        raise UserError(f"{path}: expected numbers that can be read, but could not ({first_line(error)}).") from error


def _read(path: Path, labels: str | None, folder: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the embeddings in a file, and labels: of a file of their own, else those beside them, if any."""
    arrays = read_arrays(path)
    own = arrays.pop("labels", None)
    tables = {key: value for key, value in arrays.items() if value.ndim == 2 and value.dtype.kind in "fiu"}
    embeddings = tables.get("embeddings", next(iter(tables.values()), None))
    if embeddings is None or ("embeddings" not in tables and len(tables) > 1):
        found = [f"{key} {value.shape} of {value.dtype}".strip() for key, value in arrays.items()]
        names = ", ".join(found) or "none"
        raise UserError(f"{path}: expected `embeddings`, or one array, of shape (frames, channels), but found {names}.")
    if labels is not None:
        path = folder / labels
        own = next(iter(read_arrays(path).values()))
    if own is not None and own.shape != embeddings.shape[:1]:
        raise UserError(f"{path}: expected {len(embeddings)} labels, one per frame, but found {own.shape}.")
    return embeddings, own
