"""Finding the embeddings of a data set, or making them.

Order: ``data.cache`` > a cache under ``data.root`` > videos, or a data set as it is handed out, under ``data.root`` >
(genai only) rendered clips.
"""

import glob
import hashlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import h5py

from tpl_lightning.config import DataConfig
from tpl_lightning.errors import UserError

if TYPE_CHECKING:
    from tpl_lightning.datasets.importers.registry import Importer

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
        raise UserError(
            f"{root}: several caches of {dataset!r} ({names}); name one with data.cache=PATH, or all with "
            "data.cache=PATTERN, if they are parts of one."
        )
    return found[0] if found else None


def _embed(importer: "Importer", folder: Path, root: Path, dataset: str, *, progress: bool) -> Path:
    from tpl_lightning.features import IMAGE_EXTENSIONS, HogExtractor, embed_clips

    # The folder of a video's images changes when they do; they themselves may be many.
    paths = (path for path in folder.rglob("*") if path.suffix[1:].lower() not in IMAGE_EXTENSIONS)
    stats = [(str(p.relative_to(folder)), p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(paths)]
    # The name carries the folder's content, so a changed folder is embedded anew and an old one found again.
    key = hashlib.sha256(repr(stats).encode()).hexdigest()[:8]
    out = root / EMBEDDED / f"{dataset}-hog-{key}.h5"
    while not out.is_file() and os.environ.get("RANK", "0") != "0":
        time.sleep(1.0)  # under torchrun the first process makes it; if that fails, all are ended
    if not out.is_file():
        clips, names = importer.read(folder, None)
        source = f"videos: {len(clips)} in {folder.name}"
        embed_clips(
            clips,
            out,
            extractor=HogExtractor(),
            dataset=dataset,
            source=source,
            phase_names=names,
            progress=progress,
            skip_broken=None,
            alone=True,
        )
    return out


def find_or_make_cache(data: DataConfig, *, progress: bool = True) -> Path:
    """Return the embedding cache of ``data.dataset``.

    Raises:
        UserError: If nothing is there and the data set cannot be rendered, or the choice is not clear.
    """
    root, dataset = Path(data.root), data.dataset
    if data.cache is not None:
        # From here, else from where data lie; a configuration file's is placed as it is read.
        is_under_root = not glob.glob(data.cache) and glob.glob(str(root / data.cache))
        return root / data.cache if is_under_root else Path(data.cache)
    if (own := _own_cache(root, dataset)) is not None:
        return own
    from tpl_lightning.datasets.importers.registry import IMPORTERS

    importer = IMPORTERS.get(dataset, IMPORTERS["internet"])  # any set may come as folders of videos
    for folder in (root / dataset, root / "videos" / dataset):
        if importer.is_at(folder):
            return _embed(importer, folder, root, dataset, progress=progress)
    if dataset != "genai":
        raise UserError(
            f"{root}: nothing of data set {dataset!r} there; put an embedding cache at {root / dataset}.h5, "
            f"or the data set at {root / dataset}/ ({importer.expected}), or give "
            "data.cache=PATH (data/README.md says where data sets come from)."
        )
    from tpl_lightning.synthetic import build_procedural_set

    out = root / PROCEDURAL / "genai.h5"
    if not out.is_file():
        out.parent.mkdir(parents=True, exist_ok=True)
        build_procedural_set(out, video_dir=root / PROCEDURAL / "videos", progress=progress)
    return out
