"""A small network trained from the command line."""

from tpl_lightning.__main__ import main

SMALL = [
    "model.hidden=8",
    "model.aligner_filters=2",
    "model.aligner_depth=3",
    "data.pca=4",
    "run.progress=false",
    "run.figures=false",
]


def small_fit(cache, runs, name, *options):
    """Fit to a cache, into a folder of runs; return the exit code."""
    return main(["fit", f"data.cache={cache}", f"run.dir={runs}", f"run.name={name}", *SMALL, *options])


def short_fit(folder, cache, name, *options):
    """Fit for six epochs, into ``runs`` in a folder; return the exit code."""
    return small_fit(cache, folder / "runs", name, "train.max_epochs=6", "train.val_every=3", *options)
