"""A small `tpl bench`, and files for it."""

from tpl_lightning.__main__ import main


def run_bench(tmp_path, cache_path, *options):
    return main(
        [
            "bench",
            f"data.cache={cache_path}",
            f"run.dir={tmp_path}",
            "run.name=b",
            "run.figures=false",
            "run.progress=false",
            "data.pca=4",
            "bench.seeds=[0]",
            *options,
        ]
    )


def written(path, text):
    path.write_text(text)
    return path
