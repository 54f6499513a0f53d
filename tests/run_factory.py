"""A run with known warps, made in a moment, and clips whose frames carry their number in black and white blocks."""

import json

import numpy as np

from tpl_lightning.config.loading import load_config
from tpl_lightning.config.stored import save_config
from tpl_lightning.data.cache.writer import EmbeddingCacheWriter
from tpl_lightning.evaluation.alignment import Alignment
from tpl_lightning.evaluation.warp import prototype_grid
from tpl_lightning.video import VideoReader, shrink_to, write_video

COLUMNS, ROWS = 4, 2
PHASES = ["down", "low", "up"]
BOUNDS = (0.3, 0.7)  # prototype times at which phases 1 and 2 begin


def code_picture(number, width=160, height=80):
    """A picture of 4 x 2 blocks: the bits of the number, the lowest first, white for 1."""
    bits = (number >> np.arange(COLUMNS * ROWS)) & 1
    blocks = np.where(bits.reshape(ROWS, COLUMNS), 235, 20).astype(np.uint8)
    rows, columns = np.arange(height) * ROWS // height, np.arange(width) * COLUMNS // width
    return np.repeat(blocks[rows][:, columns][..., None], 3, axis=2)


def read_code(picture):
    """The number that a picture (H, W, 3) shows, whatever its size."""
    height, width = picture.shape[:2]
    rows = ((np.arange(ROWS) + 0.5) * height / ROWS).astype(int)
    columns = ((np.arange(COLUMNS) + 0.5) * width / COLUMNS).astype(int)
    bits = picture[rows][:, columns].mean(axis=-1).flatten() > 128
    return int((bits << np.arange(COLUMNS * ROWS)).sum())


def read_video(path, *, size=None, fps=None):
    """The frames of a video (T, H, W, 3), with no side longer than ``size`` pixels, and frames per second."""
    reader = VideoReader(path, size=shrink_to(size) if isinstance(size, int) else size, fps=fps)
    frames = np.stack(list(reader))
    return frames, reader.clock.fps


def write_clip(path, count, *, fps=24.0, width=160, height=80):
    return write_video(path, (code_picture(k, width, height) for k in range(count)), fps, crf=12)


def warp(strength, times):
    """T^theta and its inverse: x + s x (1 - x) on [0, 1], |s| < 1."""
    return times + strength * times * (1 - times)


def inverse_warp(strength, times):
    dense = np.linspace(0, 1, 20001)
    return np.interp(times, warp(strength, dense), dense)


def make_run(
    folder,
    *,
    lengths=(40, 50, 60, 45),
    strengths=(0.0, 0.6, -0.6, 0.4),
    actions=("jump",),
    fps=24.0,
    labels=True,
    files=True,
    prototype=49,
):
    """Write runs/r, cache.h5 and videos/tiny/<action>/<id>.mp4; the last video of each action is its test split."""
    rows = {"video_id": [], "action": [], "split": [], "positions": [], "sources": []}
    rng = np.random.default_rng(0)
    names = {action: PHASES for action in actions} if labels else {}
    with EmbeddingCacheWriter(
        folder / "cache.h5", dataset="tiny", extractor="none", source="made by a test", phase_names=names
    ) as writer:
        for action in actions:
            for k, (length, strength) in enumerate(zip(lengths, strengths, strict=True)):
                name, split = f"{action}_{k}", "test" if k == len(lengths) - 1 else "train"
                position = inverse_warp(strength, np.linspace(0, 1, length))
                writer.append(
                    video_id=name,
                    action=action,
                    split=split,
                    embeddings=rng.normal(size=(length, 3)),
                    labels=np.searchsorted(BOUNDS, position, side="right") if labels else None,
                    fps=fps,
                )
                source = warp(strength, prototype_grid(prototype).astype(float))
                for key, value in zip(rows, (name, action, split, position, source), strict=True):
                    rows[key].append(value)
                if files:
                    write_clip(folder / "videos" / "tiny" / action / f"{name}.mp4", length, fps=fps)
    run = folder / "runs" / "r"
    run.mkdir(parents=True, exist_ok=True)
    Alignment.from_rows(**rows).save(run / "alignment.h5")
    save_config(load_config([f"data.cache={folder / 'cache.h5'}", "method=linear"]), run / "config.yaml")
    metrics = {"cache": str(folder / "cache.h5"), "data_source": "made by a test"}
    (run / "metrics.json").write_text(json.dumps(metrics))
    return run
