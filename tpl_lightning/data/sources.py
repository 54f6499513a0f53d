"""Finding the embeddings of a data set, or making them.

Order: ``data.cache`` > a cache under ``data.root`` > videos under ``data.root`` > (genai only) rendered clips.
"""

import hashlib
from pathlib import Path

import h5py

from tpl_lightning.config import DataConfig
from tpl_lightning.errors import UserError

__all__ = ["find_or_make_cache"]

PROCEDURAL = "procedural"  # folder under data.root for what the project renders itself
EMBEDDED = "embedded"  # folder under data.root for caches made of the user's videos


def _names_dataset(path: Path, dataset: str) -> bool:
    """Tell whether a cache belongs to a data set: by its file name, else by its root attribute."""
    stem = path.stem.lower()
    if stem == dataset or stem.startswith((f"{dataset}_", f"{dataset}-")):
        return True
    try:
        with h5py.File(path, "r") as file:
            return file.attrs.get("dataset") == dataset
    except OSError:
        return False


def _own_cache(root: Path, dataset: str) -> Path | None:
    exact = root / f"{dataset}.h5"
    if exact.is_file():
        return exact
    made = {root / PROCEDURAL, root / EMBEDDED}
    found = [p for p in sorted(root.rglob("*.h5")) if not made & set(p.parents) and _names_dataset(p, dataset)]
    if len(found) > 1:
        names = ", ".join(str(p) for p in found)
        raise UserError(f"{root}: several caches of {dataset!r} ({names}); name one with data.cache=PATH.")
    return found[0] if found else None


def _videos_folder(root: Path, dataset: str) -> Path | None:
    from tpl_lightning.data.video_files import find_videos

    for folder in (root / dataset, root / "videos" / dataset):
        if folder.is_dir() and find_videos(folder):
            return folder
    return None


def _embed(folder: Path, root: Path, dataset: str, *, progress: bool) -> Path:
    from tpl_lightning.data.embed_folder import embed_folder
    from tpl_lightning.data.video_files import find_videos

    stats = [(str(p.relative_to(folder)), p.stat().st_size, p.stat().st_mtime_ns) for _, p in find_videos(folder)]
    # The name carries the folder's content, so a changed folder is embedded anew and an old one found again.
    key = hashlib.sha256(repr(stats).encode()).hexdigest()[:8]
    out = root / EMBEDDED / f"{dataset}-hog-{key}.h5"
    return out if out.is_file() else embed_folder(folder, out, dataset=dataset, progress=progress)


def find_or_make_cache(data: DataConfig, *, progress: bool = True) -> Path:
    """Return the embedding cache of ``data.dataset``.

    Raises:
        UserError: If nothing is there and the data set cannot be rendered, or the choice is not clear.
    """
    if data.cache is not None:
        return Path(data.cache)
    root = Path(data.root)
    own = _own_cache(root, data.dataset) if root.is_dir() else None
    if own is not None:
        return own
    folder = _videos_folder(root, data.dataset) if root.is_dir() else None
    if folder is not None:
        return _embed(folder, root, data.dataset, progress=progress)
    if data.dataset != "genai":
        raise UserError(
            f"{root}: nothing of data set {data.dataset!r} there; put an embedding cache at {root / data.dataset}.h5, "
            f"or videos at {root / data.dataset}/<action>/<video>.mp4, or give data.cache=PATH."
        )
    from tpl_lightning.data.procedural.build import build_procedural_set

    out = root / PROCEDURAL / "genai.h5"
    if not out.is_file():
        out.parent.mkdir(parents=True, exist_ok=True)
        build_procedural_set(out, video_dir=root / PROCEDURAL / "videos", progress=progress)
    return out
