"""A cache that another process writes names that process, and the way out."""

import subprocess
import sys

import pytest

from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.errors import UserError

_HOLD = "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); print('held', flush=True); sys.stdin.read()"


def test_a_locked_cache_names_its_writer(cache_path):
    writer = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(cache_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert writer.stdout.readline() == b"held\n"
        with pytest.raises(UserError, match=f"written by process {writer.pid}, .*HDF5_USE_FILE_LOCKING=FALSE"):
            EmbeddingCache(cache_path)
    finally:
        writer.communicate(b"")
    assert len(EmbeddingCache(cache_path)) == 8
