"""Time decoding and preparing frames against PyAV decoding alone, and HOG against scikit-image.

Writes benchmarks/embed.md. Figures are per second of CPU time, all threads together, and the best of several rounds in
which all sides take turns, so that a busy machine slows all. The videos are made here: 1080p and 360p moving textures,
and 240x240 frames as GenAI-MVS has.

Usage: python benchmarks/embed.py [FOLDER of videos <action>/<video>.mp4, embedded with HOG too]
"""

import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
from skimage.feature import hog

from tpl_lightning.data.clips import clips_of_folder
from tpl_lightning.data.embed import embed_clips
from tpl_lightning.data.hog import HogExtractor, fit_square, hog_features
from tpl_lightning.data.video_files import read_frames, write_video

SIZES = {"1920x1080": (1080, 1920, 60), "640x360": (360, 640, 200), "240x240": (240, 240, 400)}
ROUNDS = 5


def _texture(height: int, width: int, count: int) -> Iterator[np.ndarray]:
    """Smooth shapes that move over noise, which is about as hard to code as a real scene."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    noise = np.random.default_rng(0).normal(scale=4, size=(height, width, 1))
    for t in range(count):
        waves = [np.sin(x / 31 + t / 7), np.cos(y / 23 - t / 9), np.sin((x + y) / 47 + t / 5)]
        yield (127 + 80 * np.stack(waves, axis=-1) + np.roll(noise, 2 * t, axis=1)).clip(0, 255).astype(np.uint8)


def _decode_alone(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def _shortest_256(width: int, height: int) -> tuple[int, int]:
    return (256, height * 256 // width) if width <= height else (width * 256 // height, 256)


def _best(calls: dict[str, Callable[[], int]]) -> dict[str, float]:
    """Frames per second of CPU time of each call."""
    best = dict.fromkeys(calls, 0.0)
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = time.process_time()
            frames = call()
            best[name] = max(best[name], frames / (time.process_time() - start))
    return best


def _reading(folder: Path) -> list[str]:
    lines = [
        "| video | PyAV alone, frames/s | with resizing to 256 | times the time | for HOG | times the time |",
        "|---|---|---|---|---|---|",
    ]
    for name, (height, width, count) in SIZES.items():
        path = write_video(folder / f"{name}.mp4", _texture(height, width, count), 30.0, crf=23)
        speed = _best(
            {
                "alone": lambda path=path: _decode_alone(path),
                "256": lambda path=path: sum(1 for _ in read_frames(path, size=_shortest_256)),
                "hog": lambda path=path: sum(1 for _ in read_frames(path, size=HogExtractor().decode_size)),
            }
        )
        ratios = [speed["alone"] / speed[key] for key in ("256", "hog")]
        lines.append(
            f"| {name} | {speed['alone']:.0f} | {speed['256']:.0f} | {ratios[0]:.2f} | "
            f"{speed['hog']:.0f} | {ratios[1]:.2f} |"
        )
    return lines


def _skimage(frames: np.ndarray) -> int:
    for frame in frames:
        square = fit_square(frame, 128)
        for picture in (square, square[:, ::-1]):
            hog(picture, 12, (16, 16), (8, 8), block_norm="L2-Hys", transform_sqrt=True)
    return len(frames)


def _features() -> str:
    frames = np.stack(list(_texture(240, 240, 48)))
    speed = _best({"ours": lambda: len(hog_features(frames)), "skimage": lambda: _skimage(frames)})
    return (
        f"HOG features of 240x240 frames and their mirror images: {speed['ours']:.0f} frames/s, "
        f"scikit-image frame by frame {speed['skimage']:.0f} ({speed['ours'] / speed['skimage']:.1f} times as fast)."
    )


def _folder(root: Path, scratch: Path) -> str:
    clips = clips_of_folder(root)
    start = time.perf_counter()
    embed_clips(clips, scratch / "x.h5", extractor=HogExtractor(), dataset="x", source="x", alone=True)
    seconds = time.perf_counter() - start
    return f"`tpl cache embed` with hog, {len(clips)} clips of {root.name}: {seconds:.1f} s of wall-clock time."


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        lines = [*_reading(Path(scratch)), "", _features()]
        if len(sys.argv) > 1:
            lines += ["", _folder(Path(sys.argv[1]), Path(scratch))]
    versions = f"{platform.machine()}, PyAV {av.__version__}"
    head = f"Made by `make bench-embed`. {versions}. Frames per second of CPU time."
    text = "\n".join(["# Speed of reading and embedding videos", "", head, "", *lines, ""])
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
