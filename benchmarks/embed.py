"""Time decoding and preparing frames against PyAV decoding alone, and HOG against scikit-image.

Writes benchmarks/embed.md. Figures are the best of several rounds in which all sides take turns, so that a busy machine
slows all. A network is fed by threads that decode videos ahead, so what keeps it waiting is wall-clock time.
The videos are made here: 1080p and 360p moving textures, and 240x240 frames as GenAI-MVS has; real ones may be given.

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

from tpl_lightning.features import HogExtractor, clips_of_folder, embed_clips, fit_square, hog_features, usable_cores
from tpl_lightning.video import VideoReader, prefetched, write_video

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


def _fed(paths: list[Path], readers: int) -> int:
    """Read as `tpl cache embed` does for a network: so many videos at a time."""
    openers = [lambda path=path: iter(VideoReader(path, size=_shortest_256)) for path in paths]
    return sum(1 for frames in prefetched(openers, ahead=readers, size=64) for _ in frames)


def _best(calls: dict[str, Callable[[], int]], clock: Callable[[], float] = time.process_time) -> dict[str, float]:
    """Frames per second of each call, of CPU time or by another clock."""
    best = dict.fromkeys(calls, 0.0)
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = clock()
            frames = call()
            best[name] = max(best[name], frames / (clock() - start))
    return best


def _row(name: str, paths: list[Path]) -> str:
    size = HogExtractor().decode_size
    speed = _best(
        {
            "alone": lambda: sum(map(_decode_alone, paths)),
            "256": lambda: sum(1 for path in paths for _ in VideoReader(path, size=_shortest_256)),
            "hog": lambda: sum(1 for path in paths for _ in VideoReader(path, size=size)),
        }
    )
    wall = _best(
        {"alone": lambda: sum(map(_decode_alone, paths)), "fed": lambda: _fed(paths, usable_cores())}, time.perf_counter
    )
    ratios = [speed["alone"] / speed[key] for key in ("256", "hog")] + [wall["alone"] / wall["fed"]]
    return (
        f"| {name} | {speed['alone']:.0f} | {speed['256']:.0f} | {ratios[0]:.2f} | {speed['hog']:.0f} | "
        f"{ratios[1]:.2f} | {wall['alone']:.0f} | {wall['fed']:.0f} | {ratios[2]:.2f} |"
    )


def _reading(folder: Path, real: Path | None) -> list[str]:
    lines = [
        "| video | PyAV alone | resized to 256 | times the time | for HOG | times the time | "
        "PyAV alone, wall-clock | what feeds a network, wall-clock | times the time |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, (height, width, count) in SIZES.items():
        path = write_video(folder / f"{name}.mp4", _texture(height, width, count), 30.0, crf=23)
        lines.append(_row(f"texture, {name}", [path] * 4))
    if real is not None:
        paths = [clip.path for clip in clips_of_folder(real)]
        lines.append(_row(f"{len(paths)} clips of {real.name}", paths))
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
    real = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    with tempfile.TemporaryDirectory() as scratch:
        lines = [*_reading(Path(scratch), real), "", _features()]
        if real is not None:
            lines += ["", _folder(real, Path(scratch))]
    versions = f"{platform.machine()}, PyAV {av.__version__}, {usable_cores()} cores"
    head = f"Made by `make bench-embed`. {versions}. Frames per second, of CPU time where not said otherwise."
    text = "\n".join(["# Speed of reading and embedding videos", "", head, "", *lines, ""])
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
