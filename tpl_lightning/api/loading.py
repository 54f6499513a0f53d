"""Caches and runs by their paths."""

from pathlib import Path

from tpl_lightning.data import EmbeddingCache, open_cache
from tpl_lightning.runs import Run


def load_cache(path: str | Path) -> EmbeddingCache:
    """Open an embedding cache, or all files that a glob pattern names, as one.

    Args:
        path: The file, or a pattern.

    Raises:
        FileError: If it is missing or unreadable; a :class:`UserError` and an ``OSError``.
        UserError: If it is no cache of this format.

    Example:
        >>> load_cache("missing.h5")
        Traceback (most recent call last):
        ...
        tpl_lightning.errors.FileError: missing.h5: no such embedding cache; give an existing file with data.cache=PATH.
    """
    return open_cache(path)


def load_run(folder: str | Path, *, cache: str | Path | None = None) -> Run:
    """Open a run directory as ``tpl fit`` or :meth:`Synchronizer.save` left it.

    Args:
        folder: ``runs/NAME``.
        cache: The run's embedding cache, where it has moved.

    Raises:
        FileError: If the folder or its alignment is missing; a :class:`UserError` and an ``OSError``.

    Example:
        >>> load_run("runs/missing")
        Traceback (most recent call last):
        ...
        tpl_lightning.errors.FileError: runs/missing: no such run directory; give runs/NAME as `tpl fit` left it.
    """
    return Run(folder, cache=cache)
