"""The wheel alone, without the checkout, from another folder."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.run_factory import make_run

ROOT = Path(__file__).parent.parent


@pytest.mark.slow
def test_the_wheel_alone_fits_syncs_views_and_sweeps(tmp_path):
    pytest.importorskip("pip")
    made, apart = tmp_path / "dist", tmp_path / "apart"
    # As `python -m build` does: the source distribution first, and the wheel from nothing else.
    script = f"from setuptools.build_meta import build_sdist; build_sdist({str(made)!r})"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    (archive,) = made.glob("*.tar.gz")
    shutil.unpack_archive(archive, tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    wheel = ["wheel", str(source), "--no-deps", "--no-build-isolation", "-w", str(made)]
    install = ["install", "--no-deps", "--target", str(apart), "--no-index"]
    subprocess.run([sys.executable, "-m", "pip", "-q", *wheel], check=True, cwd=tmp_path)
    subprocess.run([sys.executable, "-m", "pip", "-q", *install, *map(str, made.glob("*.whl"))], check=True)
    make_run(tmp_path)
    # Without the site's own start, which would find the checkout; the other packages stay.
    paths = os.pathsep.join([str(apart), *(path for path in sys.path if path.endswith("-packages"))])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "WANDB_MODE": "disabled"}

    def tpl(*arguments):
        command = [sys.executable, "-S", "-m", "tpl_lightning", *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = [sys.executable, "-S", "-c", "import tpl_lightning; print(tpl_lightning.__file__)"]
    found = subprocess.run(where, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    assert Path(found).is_relative_to(apart)
    tpl("fit", "genai", "method=direct", "data.cache=cache.h5", "run.name=first", "run.figures=false", "data.pca=2")
    tpl("sync", "runs/r", "videos/tiny/jump", "out=sync.mp4")
    tpl("view", "runs/r", "out=page")
    tpl("sweep", "genai", "count=1", "data.cache=cache.h5", "run.figures=false")
    assert (tmp_path / "sync.mp4").stat().st_size > 0
    assert (tmp_path / "page" / "index.html").is_file()
    assert (tmp_path / "runs" / "sweep-genai" / "best.yaml").is_file()
