"""LeRobot's data sets of two versions: the same episodes."""

import json

import numpy as np
import pytest

from tests.signal_factory import waves, write_lerobot
from tpl_lightning.data.cache.reader import EmbeddingCache
from tpl_lightning.datasets.signals.lerobot import read_lerobot, with_camera
from tpl_lightning.datasets.signals.registry import import_signals
from tpl_lightning.errors import UserError

pytest.importorskip("pyarrow")

EPISODES = [("pick", 20, 0.3), ("pick", 30, -0.4), ("place it", 25, 0.1), ("place it", 22, 0.5), ("pick", 24, 0.0)]


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_episodes_of_tasks(tmp_path, version):
    write_lerobot(tmp_path / "set", EPISODES, version=version)
    import_signals("lerobot", tmp_path / "set", tmp_path / "o.h5", dataset="s", progress=False)
    cache = EmbeddingCache(tmp_path / "o.h5")
    assert cache.video_id.tolist() == [f"episode_{k:06d}" for k in range(5)]
    assert cache.action.tolist() == [task for task, _, _ in EPISODES]
    assert cache.lengths.tolist() == [length for _, length, _ in EPISODES]
    assert (set(cache.fps.tolist()), cache.num_channels, cache.extractor) == ({20.0}, 5, "lerobot")
    for k, (_, length, strength) in enumerate(EPISODES):
        truth = waves(length, strength)
        found = cache.read(k)
        scale = truth[-1] / found[-1, :3]
        np.testing.assert_allclose(found[:, :3] * scale, truth, rtol=1e-3, atol=1e-3 * np.abs(truth).max())
        np.testing.assert_allclose(found[:, 3:], found[:, :2], rtol=1e-5)


def test_names_of_channels_and_refusals(tmp_path):
    write_lerobot(tmp_path, EPISODES[:2])
    (first, _) = read_lerobot(tmp_path, gaps="refuse")
    assert first.table.columns == (
        "observation.state.a",
        "observation.state.b",
        "observation.state.c",
        "action.0",
        "action.1",
    )
    (tmp_path / "data" / "chunk-000" / "episode_000001.parquet").unlink()
    with pytest.raises(UserError, match=r"episode_000001.parquet: missing"):
        read_lerobot(tmp_path, gaps="refuse")
    info = json.loads((tmp_path / "meta" / "info.json").read_text())
    (tmp_path / "meta" / "info.json").write_text(json.dumps({**info, "codebase_version": "v1.6"}))
    with pytest.raises(UserError, match=r"info.json: expected metadata of LeRobot v2.0, v2.1 or v3.0, .*version v1.6"):
        read_lerobot(tmp_path, gaps="refuse")
    (tmp_path / "meta" / "info.json").write_text("{}")
    with pytest.raises(
        UserError, match=r"info.json: expected metadata of LeRobot v2.0, v2.1 or v3.0, .*'codebase_version'"
    ):
        read_lerobot(tmp_path, gaps="refuse")
    (tmp_path / "meta" / "info.json").unlink()
    with pytest.raises(UserError, match=r"info.json: expected metadata of LeRobot v2.0, v2.1 or v3.0, .*No such file"):
        read_lerobot(tmp_path, gaps="refuse")


class Brightness:
    """An extractor whose one channel is how bright a frame is."""

    name, num_channels, is_fitted, decode_sizes = "bright", 1, True, None

    def features(self, frames):
        return np.array([[float(frame.mean())] for frame in frames])

    def transform(self, features):
        return features


@pytest.mark.parametrize("version", ["v2.1", "v3.0"])
def test_a_camera_beside_the_signals(tmp_path, version):
    pytest.importorskip("av")
    from tpl_lightning.video.files import write_video

    camera = "observation.images.top"
    write_lerobot(tmp_path, EPISODES[:2], version=version, camera=camera)
    shades = [np.linspace(20, 120, 20), np.linspace(220, 60, 30)]
    frames = [[np.full((48, 48, 3), shade, np.uint8) for shade in one] for one in shades]
    folder = tmp_path / "videos"
    if version == "v3.0":
        (folder / camera / "chunk-000").mkdir(parents=True)
        write_video(folder / camera / "chunk-000" / "file-000.mp4", frames[0] + frames[1], 20)
    else:
        (folder / "chunk-000" / camera).mkdir(parents=True)
        for k in range(2):
            write_video(folder / "chunk-000" / camera / f"episode_{k:06d}.mp4", frames[k], 20)
    plain = read_lerobot(tmp_path, gaps="refuse")
    found = with_camera(plain, tmp_path, "top", Brightness(), progress=False)
    energy = np.mean([shade.var() for shade in shades])
    for recording, shade in zip(found, shades, strict=True):
        assert recording.table.columns[-1] == "observation.images.top.0"
        np.testing.assert_allclose(recording.table.values[:, -1] * np.sqrt(energy), shade, rtol=0.05, atol=4)
    variance = np.mean([recording.table.values.var(axis=0) for recording in found], axis=0)
    assert variance[:-1].sum() == pytest.approx(1, rel=1e-6)
    assert variance[-1] == pytest.approx(1, rel=1e-6)
    with pytest.raises(UserError, match=r"camera=side: .* there are: observation.images.top"):
        with_camera(plain, tmp_path, "side", Brightness(), progress=False)
