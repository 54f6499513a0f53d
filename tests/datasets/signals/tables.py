"""Tables of channels in a folder, and the cache of them."""

import numpy as np

from tests.signal_factory import waves, write_rows
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.datasets.signals.registry import import_signals


def write_table(path, values, *, times=None, header=("a", "b", "c")):
    head = header if times is None else ("time_s", *header)
    rows = values if times is None else np.column_stack([times, values])
    write_rows(path, [head], [["" if np.isnan(x) else f"{x:.6f}" for x in row] for row in rows])


def import_tables(root, **options):
    out = root.parent / "out.h5"
    import_signals("csv", root, out, dataset="s", progress=False, **options)
    return EmbeddingCache(out)


def video(cache, name):
    return np.asarray(cache.read(cache.video_id.tolist().index(name)), dtype=np.float64)


def write_pair(root, action="jump", **options):
    for name, length in (("one", 30), ("two", 40)):
        write_table(root / action / f"{name}.csv", waves(length, 0.3), **options)
