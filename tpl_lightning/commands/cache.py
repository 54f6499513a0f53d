"""``tpl cache``: look at an embedding cache, or make one (embedding.py, joining.py).

usage: tpl cache info PATH       what it holds: videos, frames, channels, lengths, actions, splits, labels
       tpl cache validate PATH   read all of it; exit code 2 and one line if something is wrong
       tpl cache embed VIDEOS... out=PATH.h5 [key=value ...]
                                 embed videos: folders <action>/<video>.mp4, or a CSV list (path, action, split, labels)
       tpl cache import penn_action|pouring|internet|genai FOLDER [out=PATH.h5] [key=value ...]
                                 the same for a data set as it is handed out
       tpl cache import npy LIST.csv out=PATH.h5 [key=value ...]
                                 embeddings of someone else's, a .npy, .npz or .pt file per video
       tpl cache import csv|deeplabcut|sleap|mediapipe|lerobot FOLDER [out=PATH.h5] [key=value ...]
                                 signals: a table of channels or of key points per recording, or a robot's episodes
       tpl cache merge PATH.h5   merge what several processes have embedded, where tpl cache embed could not
       tpl cache join A.h5 B.h5 ... out=AB.h5 [missing=drop] [overwrite=true]
                                 caches of the same videos by different extractors side by side; the first gives
                                 order, splits, labels and clock; missing=drop leaves out videos that not all hold
The options below are those of embed and import.
"""

from pathlib import Path

from tpl_lightning import data
from tpl_lightning.commands import embedding, joining
from tpl_lightning.errors import UserError, plain_warnings

OPTIONS = embedding.EmbedOptions
"""Those of embed and import."""


def _print_summary(cache: "data.EmbeddingCache") -> None:
    import numpy as np
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    # Escaped: a name in square brackets would be taken for a style and vanish.
    lengths = cache.lengths
    summary = Table(title=escape(str(cache.path)), show_header=False)
    rates = np.unique(cache.fps)
    fps = f"{rates[0]:g}" if len(rates) == 1 else f"{rates[0]:g} to {rates[-1]:g}"
    labelled = np.concatenate([cache.labels(i) >= 0 for i in range(len(cache))]).mean() if cache.has_labels else 0.0
    rows = {
        "dataset": cache.dataset,
        "extractor": cache.extractor,
        "source": cache.source,
        "videos": len(cache),
        "frames": int(cache.offsets[-1]),
        "channels": f"{cache.num_channels} ({cache.dtype})",
        "feature groups": ", ".join(f"{name} {channels}" for name, channels in cache.feature_groups),
        "lengths": f"{lengths.min()} to {lengths.max()} frames, median {np.median(lengths):g}",
        "frames per second": fps,
        "labels": f"{labelled:.1%} of the frames" if cache.has_labels else "none",
        "true progress": "yes" if cache.has_progress else "no",
        "splits": ", ".join(f"{(cache.split == s).sum()} {s}" for s in ("train", "val", "test")),
        "size": f"{sum(file.stat().st_size for file in cache.files) / 2**20:.1f} MiB",
        "fingerprint": cache.fingerprint(),
    }
    for name, value in rows.items():
        summary.add_row(name, escape(str(value)))
    actions = Table("action", "train", "val", "test", "median frames", "phases", title="actions")
    for action in sorted(set(cache.action.tolist())):
        members = cache.action == action
        counts = [str(int((members & (cache.split == s)).sum())) for s in ("train", "val", "test")]
        phases = " > ".join(cache.phase_names.get(action, [])) or "-"
        actions.add_row(escape(action), *counts, f"{np.median(lengths[members]):g}", escape(phases))
    console = Console()
    console.print(summary)
    console.print(actions)


def main(arguments: list[str]) -> int:
    """Show or check a cache."""
    name, *rest = arguments or [""]
    makers = {"embed": embedding.embed, "import": embedding.import_data, "merge": embedding.merge, "join": joining.join}
    if name in makers:
        with plain_warnings():
            made = makers[name](rest)
        if made is not None:
            cache = data.EmbeddingCache(made)
            frames = int(cache.offsets[-1])
            print(f"{made}: {len(cache)} videos, {frames} frames, {cache.num_channels} channels, {cache.extractor}")
        return 0
    if name not in ("info", "validate"):
        what = f"{name}: unknown" if name else "expected what to do"
        raise UserError(f"tpl cache {what}; there are: info, validate, {', '.join(makers)}; see tpl cache --help.")
    if len(rest) == 1 and not Path(rest[0]).exists():
        rest = [rest[0].removeprefix("data.").removeprefix("cache=")]
    if len(rest) != 1:
        raise UserError(f"tpl cache {name}: expected one path: tpl cache {name} PATH.")

    cache = data.open_cache(rest[0])
    if name == "info":
        _print_summary(cache)
    else:
        cache.validate()
        data.warn_of_still(cache)
        groups = ", ".join(f"{name} {channels}" for name, channels in cache.feature_groups)
        several = f", feature groups {groups}" if len(cache.feature_groups) > 1 else ""
        print(f"{cache.path}: valid, {len(cache)} videos, {int(cache.offsets[-1])} frames{several}")
    return 0
