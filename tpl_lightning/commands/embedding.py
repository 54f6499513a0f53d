"""``tpl cache embed``, ``import`` and ``merge``: from videos and handed-out data sets to an embedding cache."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tpl_lightning import data, datasets, features, labels, video
from tpl_lightning.commands.arguments import parse_options
from tpl_lightning.errors import UserError, first_line
from tpl_lightning.files import Outputs


@dataclass(frozen=True)
class EmbedOptions:
    """Options of ``tpl cache embed`` and ``import``."""

    out: str | None = None
    """The cache to write; import: data/<data set>.h5 if left out."""
    extractor: str = "hog"
    """hog, dinov2, openclip, pose, the id of an image model on the Hugging Face hub, or its local folder; a cache, for
    the extractor that made it; several joined by +, as hog+dinov2: one decoding feeds all."""
    fps: float | None = None
    """Frames per second to resample videos to; empty: all frames as they are."""
    channels: int = 64
    """Principal components of hog."""
    annotations: str | None = None
    """Phases or key events: a .json, .csv or .eaf file, or a folder of .eaf (penn_action: of .npy)."""
    dataset: str | None = None
    """Name of the data set; empty: the name of the file."""
    dtype: Literal["float16", "float32"] | None = None
    """float16 or float32 in the cache; empty: float16, of signals float32."""
    gaps: Literal["interpolate", "refuse"] = "interpolate"
    """Signals: interpolate or refuse what is missing."""
    camera: str | None = None
    """lerobot: a camera to embed with the extractor, beside state and action."""
    device: str = "auto"
    """Where a network runs: auto (a GPU where there is one), cpu, cuda, cuda:1 ..."""
    batch_size: int = 64
    """Frames per batch of a network."""
    num_workers: int | None = None
    """Processes (hog), or videos decoded ahead (networks); empty: one per core."""
    skip_broken: bool = False
    """Leave out videos that cannot be decoded."""
    overwrite: bool = False
    """Replace a cache that is there."""
    progress: bool = True
    """Show progress."""


def embed(arguments: list[str]) -> Path | None:
    """Embed folders and lists of videos; return the cache, None where another process merges it."""
    inputs, options = _parse(arguments, "embed")
    if not inputs:
        raise UserError("tpl cache embed: expected videos: tpl cache embed FOLDER out=PATH.h5.")
    if options.out is None:
        raise UserError(f"tpl cache embed: expected where to write: tpl cache embed {inputs[0]} out=PATH.h5.")
    clips: list[features.Clip] = []
    names: dict[str, list[str]] = {}
    for path in map(Path, inputs):
        if path.suffix.lower() == ".csv":
            more, own_names = features.clips_of_list(path)
            clips, names = clips + more, {**names, **own_names}
        else:
            clips += features.clips_of_folder(path)
    if options.annotations is not None:
        clips, names = features.annotate(clips, labels.read_annotations(options.annotations))
    source = f"videos: {len(clips)} files in {', '.join(Path(path).name for path in inputs)}"
    out, read = Path(options.out), Outputs("cache embed", [*inputs, options.annotations, *(c.path for c in clips)])
    return _embed_clips(clips, names, options, out, options.dataset or out.stem, source, read)


def import_data(arguments: list[str]) -> Path | None:
    """Import a data set as it is handed out; return the cache."""
    inputs, options = _parse(arguments, "import")
    known = [*datasets.IMPORTERS, "npy", *datasets.SIGNALS]
    if len(inputs) != 2 or inputs[0] not in known:
        raise UserError(
            f"tpl cache import: expected a data set ({', '.join(known)}) and where it is, but got "
            f"{' '.join(inputs) or 'nothing'}: tpl cache import penn_action FOLDER."
        )
    name, place = inputs[0], Path(inputs[1])
    importer = datasets.IMPORTERS.get(name)
    dataset = options.dataset or (name if importer else Path(options.out or os.path.abspath(place)).stem)
    out = Path(options.out or f"data/{dataset}.h5")
    notes = None if options.annotations is None else Path(options.annotations)
    if importer is None:
        return _import_arrays(name, place, out, dataset, notes, options)
    if not place.is_dir():
        raise UserError(f"{place}: expected the folder of {name} ({importer.expected}), but there is none.")
    clips, names = importer.read(place, notes)
    read = Outputs("cache import", [notes, *(clip.path for clip in clips)])
    return _embed_clips(clips, names, options, out, dataset, f"{name}: {len(clips)} videos as handed out", read)


def _import_arrays(name: str, place: Path, out: Path, dataset: str, notes: Path | None, options: EmbedOptions) -> Path:
    """Import what is no video: embeddings, or signals."""
    inputs = [path for path in place.rglob("*") if path.is_file()] if place.is_dir() else [place]
    with writing_cache(out, options.overwrite, Outputs("cache import", [*inputs, notes])):
        if name == "npy":
            made_by = options.extractor if options.extractor != EmbedOptions.extractor else "imported"
            about: Any = {"dataset": dataset, "extractor": made_by, "annotations": notes}
            datasets.import_embeddings(place, out, **about, dtype=options.dtype or "float16")
        else:
            datasets.import_signals(
                name,
                place,
                out,
                dataset=dataset,
                annotations=notes,
                fps=options.fps,
                gaps=options.gaps,
                camera=options.camera,
                extractor=None if options.camera is None else _extractor(options),
                dtype=options.dtype or "float32",
                progress=options.progress,
            )
    return out


def _extractor(options: EmbedOptions) -> "features.Extractor":
    size = {"channels": options.channels, "batch_size": options.batch_size}
    return features.make_extractor(options.extractor, device=options.device, **size)


def merge(arguments: list[str]) -> Path:
    """Merge shards into a cache, and return it."""
    paths, options = _parse(arguments, "merge")
    paths += [] if options.out is None else [options.out]
    if len(paths) != 1:
        raise UserError("tpl cache merge: expected the cache to write: tpl cache merge PATH.h5.")
    with writing_cache(Path(paths[0]), True, Outputs("cache merge")):
        return features.merge_shards(paths[0], skip_broken=options.skip_broken)


def _parse(arguments: list[str], command: str) -> tuple[list[str], EmbedOptions]:
    """Return paths and options; what names an existing file is a path, even with an equals sign in it."""
    inputs, options = parse_options(f"cache {command}", arguments, EmbedOptions)
    video.check_fps(options.fps)
    return inputs, options


def _embed_clips(
    clips: list[Any],
    names: dict[str, list[str]],
    options: EmbedOptions,
    out: Path,
    dataset: str,
    source: str,
    outputs: Outputs,
) -> Path | None:
    with writing_cache(out, options.overwrite, outputs):
        made = features.embed_clips(
            clips,
            out,
            extractor=_extractor(options),
            dataset=dataset,
            source=source,
            phase_names=names,
            fps=options.fps,
            dtype=options.dtype or "float16",
            num_workers=options.num_workers,
            skip_broken=options.skip_broken,
            progress=options.progress,
        )
    if made is None:
        print(f"{out}: this process is done; the cache is merged by rank 0, or by tpl cache merge {out}.")
    return made


def check_out(out: Path, overwrite: bool, outputs: Outputs) -> None:
    """Check where a cache is to be written.

    Raises:
        UserError: If the name is not one of a cache, or there is a file that may not be replaced.
    """
    if out.suffix != ".h5":
        raise UserError(f"{out}: expected a name that ends in .h5, as out={out.with_suffix('.h5')}.")
    outputs.refuse_input(out)
    if out.exists() and not overwrite:
        raise UserError(f"{out}: there is such a cache; give another out=PATH.h5, or overwrite=true to replace it.")
    if out.exists() and not _is_cache(out):
        raise UserError(f"{out}: there is something else than an embedding cache; give another out=PATH.h5.")


def _is_cache(path: Path) -> bool:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return str(file.attrs.get("format")) == data.FORMAT
    except OSError:
        return False


@contextmanager
def writing_cache(out: Path, overwrite: bool, outputs: Outputs) -> Iterator[None]:
    """Check where a cache is to be written; report a place that cannot be written to, or a full disk.

    What cannot be read is reported where it is read.

    Raises:
        UserError: As :func:`check_out`, and if the place cannot be written to.
    """
    check_out(out, overwrite, outputs)
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({first_line(error)}); give another out=PATH.h5.") from error
