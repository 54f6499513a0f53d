"""Videos in folders by action, with annotations beside them."""

import json

import numpy as np
import pytest

from tpl_lightning.__main__ import main
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.datasets.importers.registry import IMPORTERS
from tpl_lightning.errors import UserError
from tpl_lightning.video.files import write_video

pytest.importorskip("google_crc32c")
pytest.importorskip("av")

from tests.record_factory import picture

QUICK = ["channels=3", "num_workers=0", "progress=false"]


@pytest.fixture
def videos(tmp_path):
    root = tmp_path / "set"
    for action in ("dip", "pull"):
        for number in range(3):
            frames = np.array([picture(i, number) for i in range(8)])
            write_video(root / action / f"{action}_{number}.mp4", frames, 24.0)
    return root


@pytest.mark.parametrize("name", ["genai", "internet"])
def test_videos_in_folders_with_key_events(videos, tmp_path, name):
    clips = {
        f"dip_{i}": {"action": "dip", "events": [2 + i], "num_frames": 7, "split": "test" if i == 1 else "train"}
        for i in range(3)
    }
    (videos / "annotations.json").write_text(json.dumps({"phases": {"dip": ["down", "up"]}, "clips": clips}))
    out = tmp_path / "v.h5"
    assert main(["cache", "import", name, str(videos), f"out={out}", *QUICK]) == 0
    cache = EmbeddingCache(out)
    cache.validate()
    assert cache.dataset == name
    assert cache.lengths.tolist() == [7, 7, 7, 8, 8, 8]
    assert cache.split.tolist()[:3] == ["train", "test", "train"]
    assert [cache.labels(i).tolist() for i in (0, 2)] == [[0] * 2 + [1] * 5, [0] * 4 + [1] * 3]
    assert set(cache.labels(3).tolist()) == {-1}


def test_annotations_that_contradict_the_folders_are_named(videos):
    clips = {"dip_0": {"action": "pull", "events": []}}
    (videos / "annotations.json").write_text(json.dumps({"phases": {"pull": ["all"]}, "clips": clips}))
    with pytest.raises(UserError, match="said to show 'pull', but lies in 'dip'"):
        IMPORTERS["genai"].read(videos, None)
    clips = {"other": {"action": "pull", "events": []}}
    (videos / "annotations.json").write_text(json.dumps({"phases": {"pull": ["all"]}, "clips": clips}))
    with pytest.raises(UserError, match="found those of other"):
        IMPORTERS["genai"].read(videos, None)
