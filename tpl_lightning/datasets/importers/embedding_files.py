"""Embeddings that someone else has computed: one .npy, .npz or .pt file per video, and a CSV list of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tpl_lightning.data import EmbeddingCacheWriter
from tpl_lightning.errors import UserError, first_line
from tpl_lightning.features import Clip, annotate, choose_splits, read_list
from tpl_lightning.labels import TableRow, numbered_phases, read_annotations, read_fps
from tpl_lightning.video import VideoClock


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
    rows = read_list(listed)
    rates = [read_fps(row.get("fps", "24"), listed, row.line) for row in rows]
    clips = choose_splits([_clip(row) for row in rows])
    videos = [_read(clip.path, row.get("labels"), listed.parent) for clip, row in zip(clips, rows, strict=True)]
    if annotations is None:
        labelled = zip(clips, (labels for _, labels in videos), strict=True)
        names = numbered_phases((clip.action, int(own.max()) + 1) for clip, own in labelled if own is not None)
    else:
        clips, names = annotate(clips, read_annotations(annotations))
    source = f"embeddings: {len(clips)} files of {listed.name}"
    with EmbeddingCacheWriter(
        out, dataset=dataset, extractor=extractor, source=source, phase_names=names, dtype=dtype
    ) as writer:
        for clip, (embeddings, labels), fps in zip(clips, videos, rates, strict=True):
            if clip.phases is not None:
                labels = clip.phases.labels(VideoClock.even(len(embeddings), fps))
            writer.append(
                video_id=clip.video_id,
                action=clip.action,
                split=clip.split,
                embeddings=embeddings[: clip.num_frames],
                labels=None if labels is None else labels[: clip.num_frames],
                fps=fps,
            )
    return Path(out)


def _clip(row: TableRow) -> Clip:
    path = Path(row["path"])
    return Clip(row.get("video_id", path.stem), row["action"], row.get("split", ""), path)


def _load_pt(path: Path) -> Any:
    import torch

    def to_numpy(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: to_numpy(item) for key, item in value.items()}
        return value.float().numpy() if isinstance(value, torch.Tensor) else value

    # Weights only: a file of someone else's must not run code.
    return to_numpy(torch.load(path, map_location="cpu", weights_only=True))


_LOADERS: dict[str, Callable[[Path], Any]] = {
    ".npy": lambda path: np.load(path, allow_pickle=False),
    ".npz": lambda path: dict(np.load(path, allow_pickle=False)),
    ".pt": _load_pt,
    ".pth": _load_pt,
    ".txt": np.loadtxt,
}


def _load(path: Path) -> Any:
    loader = _LOADERS.get(path.suffix.lower())
    if loader is None:
        raise UserError(f"{path}: expected a file of embeddings ({', '.join(_LOADERS)}), but got another ending.")
    try:
        return loader(path)
    except Exception as error:  # unpickling, zip and format errors have no class in common
        raise UserError(f"{path}: expected numbers that can be read, but could not ({first_line(error)}).") from error


def _read(path: Path, labels: str | None, folder: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the embeddings in a file, and labels: of a file of their own, else those beside them, if any."""
    content, own = _load(path), None
    if isinstance(content, dict):
        arrays = {key: value for key, value in content.items() if isinstance(value, np.ndarray)}
        own = arrays.pop("labels", None)
        if "embeddings" not in arrays and len(arrays) != 1:
            raise UserError(
                f"{path}: expected an array `embeddings`, or one array alone, but found {', '.join(content) or 'none'}."
            )
        content = arrays.get("embeddings", next(iter(arrays.values())))
    if not isinstance(content, np.ndarray) or content.ndim != 2 or content.dtype.kind not in "fiu":
        is_array = isinstance(content, np.ndarray)
        found = f"shape {content.shape} of {content.dtype}" if is_array else type(content).__name__
        raise UserError(f"{path}: expected embeddings of shape (frames, channels), but found {found}.")
    return content, own if labels is None else np.asarray(_load(folder / labels))
