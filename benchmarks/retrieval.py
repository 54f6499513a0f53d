"""Time frame retrieval: exhaustive nearest-neighbour search against lookup on the prototype timeline.

Writes benchmarks/retrieval.md and retrieval.png on a synthetic set of the size of Penn Action; with ``--cache`` it
prints the table of an embedding cache. Both sides get the same embeddings. What is timed is answering for all frames of
the test videos; for the lookup that includes finding the warps of the test videos. Making the index and aligning the
training videos are done once before.
"""

import argparse
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from tpl_lightning.config import DataConfig
from tpl_lightning.data import EmbeddingCache, VideoSet, split_videos
from tpl_lightning.functional import frame_times, resample, sample_rows
from tpl_lightning.functional.scores import (
    frames_on_prototype,
    lookup_matches,
    nearest_rows,
    prototype_index,
    typical_videos,
)
from tpl_lightning.functional.warps import cpab_warp
from tpl_lightning.groupwise import JointOptions, barycenters, fit_jointly, fit_to_prototypes

FOLDER = Path(__file__).parent
CHANNELS, ACTIONS, DIRECTIONS = 128, 15, 40
# Shares of the variance within a video: of what the videos of an action have in common, of smooth changes of the
# video's own, of noise from frame to frame. Measured on generated sports clips embedded with an image network.
SHARED, OWN, JITTER = 0.29, 0.63, 0.08
# The warp fit: one stage, as the question. Samples of a video, principal components, prototype points.
GRID, COMPONENTS, POINTS = 48, 24, 200
OPTIONS = JointOptions(num_cells=8, scales=(0.07,), smoothness=0.1, offset_shrinkage=0.0)
STEPS = 2


# ---------------------------------------------------------------- synthetic videos


@dataclass
class Videos:
    """Embeddings of videos one after the other, with true phases."""

    frames: Tensor  # (F, C)
    labels: Tensor  # (F,)
    lengths: Tensor  # (N,)
    action: Tensor  # (N,)

    def __post_init__(self) -> None:
        """Find where each video begins and ends."""
        self.bounds = [0, *self.lengths.cumsum(0).tolist()]

    def rows(self, video: int) -> slice:
        """Return the rows of one video."""
        return slice(self.bounds[video], self.bounds[video + 1])

    def select(self, keep: Tensor) -> "Videos":
        """Return the videos of a boolean mask."""
        rows = torch.repeat_interleave(keep, self.lengths)
        return Videos(self.frames[rows], self.labels[rows], self.lengths[keep], self.action[keep])


def _smooth_signals(times: np.ndarray, count: int, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Draw Gaussian processes of variance 1 and correlation length ``scale``, (len(times), count)."""
    waves = 32  # random Fourier features
    phase = np.outer(times, rng.normal(size=waves) / scale) + rng.uniform(0, 2 * np.pi, waves)
    return np.sqrt(2 / waves) * np.cos(phase) @ rng.normal(size=(waves, count))


class World:
    """Actions with phases and the embeddings that they lead to, all drawn from one seed."""

    def __init__(self, seed: int = 0) -> None:
        """Draw the curve of each action and where its phases begin."""
        self.rng = np.random.default_rng(seed)
        self.directions = np.linalg.qr(self.rng.normal(size=(CHANNELS, DIRECTIONS)))[0].T
        self.directions *= np.geomspace(3, 0.3, DIRECTIONS)[:, None]
        self.directions /= np.sqrt(np.square(self.directions).sum())
        self.progress = np.linspace(0, 1, 1000)
        self.curves, self.events = [], []
        for _ in range(ACTIONS):
            self.curves.append(_smooth_signals(self.progress, DIRECTIONS, 0.12, self.rng) @ self.directions)
            phases = int(self.rng.integers(3, 7))
            self.events.append(np.cumsum(self.rng.dirichlet(np.full(phases, 6.0)))[:-1])

    def video(self, action: int, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Return embeddings (length, C) of mean 0 and the phase of each frame."""
        time_ = np.linspace(0, 1, length)
        speed = np.exp(0.5 * _smooth_signals(self.progress, 1, 0.25, self.rng)[:, 0])
        progress = np.interp(time_, self.progress, np.cumsum(speed) / speed.sum())
        point = np.clip(np.round(progress * 999).astype(int), 0, 999)
        own = _smooth_signals(time_, DIRECTIONS, 0.08, self.rng) @ self.directions
        jitter = self.rng.normal(size=(length, CHANNELS)) / np.sqrt(CHANNELS)
        frames = np.sqrt(SHARED) * self.curves[action][point] + np.sqrt(OWN) * own + np.sqrt(JITTER) * jitter
        return frames - frames.mean(0), np.searchsorted(self.events[action], progress, side="right")

    def videos(self, count: int, lengths: tuple[int, int]) -> Videos:
        """Draw videos of all actions in turn, of ``lengths[0]`` to ``lengths[1]`` frames."""
        action = np.arange(count) % ACTIONS
        drawn = [self.video(int(a), int(self.rng.integers(lengths[0], lengths[1] + 1))) for a in action]
        return Videos(
            torch.from_numpy(np.concatenate([f for f, _ in drawn]).astype(np.float32)),
            torch.from_numpy(np.concatenate([y for _, y in drawn])),
            torch.tensor([len(y) for _, y in drawn]),
            torch.from_numpy(action),
        )


def of_cache(path: Path) -> tuple[Videos, Videos]:
    """Return the training and the test videos of a cache, each video's mean removed."""
    splits = split_videos(VideoSet(EmbeddingCache(path)), DataConfig())
    actions = list(splits.train.actions)

    def load(videos: VideoSet) -> Videos:
        frames = [torch.from_numpy(videos.read(i).astype(np.float32)) for i in range(len(videos))]
        return Videos(
            torch.cat([x - x.mean(0) for x in frames]),
            torch.cat([torch.from_numpy(videos.labels(i).astype(np.int64)) for i in range(len(videos))]),
            torch.tensor([len(x) for x in frames]),
            torch.tensor([actions.index(str(a)) for a in videos.action]),
        )

    return load(splits.train), load(splits.test)


# ---------------------------------------------------------------- lookup on the prototype timeline


class Timeline:
    """Training videos aligned once; then new videos find their prototype times and look their matches up."""

    def __init__(self, train: Videos) -> None:
        """Align the training videos of each action and list their frames by prototype point."""
        self.train, actions = train, int(train.action.max()) + 1
        second = train.frames.T @ train.frames / len(train.frames)
        self.components = torch.linalg.eigh(second)[1][:, -COMPONENTS:] / second.trace().sqrt()
        signal = self.signal(train)
        theta = fit_jointly(signal, train.action, num_actions=actions, options=OPTIONS)
        times = cpab_warp(theta, torch.linspace(0, 1, GRID), num_cells=OPTIONS.num_cells)
        self.prototypes = barycenters(sample_rows(signal, times), train.action, num_actions=actions)[1]
        grid = torch.linspace(0, 1, POINTS)
        source = cpab_warp(theta, grid, num_cells=OPTIONS.num_cells)
        self.matches: list[Tensor] = []  # of each action, (N_a, POINTS) rows of train.frames
        self.typical = torch.zeros(actions, POINTS, dtype=torch.int64)  # one of them for each point
        start = torch.tensor(train.bounds[:-1])
        for action in range(actions):
            own = torch.nonzero(train.action == action)[:, 0]
            frames = frames_on_prototype(source[own], train.lengths[own]) + start[own].unsqueeze(1)
            self.matches.append(frames)
            video = typical_videos(self._aligned(own, source[own]))
            self.typical[action] = frames[video, torch.arange(POINTS)]

    def _aligned(self, own: Tensor, source: Tensor) -> Tensor:
        """Return the components of some training videos on the prototype timeline, (n, POINTS, COMPONENTS)."""
        parts = [self.train.frames[self.train.rows(i)] @ self.components for i in own.tolist()]
        padded = torch.nn.utils.rnn.pad_sequence(parts, batch_first=True)
        return resample(padded, source, self.train.lengths[own])

    def signal(self, videos: Videos) -> Tensor:
        """Return the components of GRID frames of each video, evenly spread, (N, GRID, COMPONENTS)."""
        frame = (torch.linspace(0, 1, GRID) * (videos.lengths - 1).unsqueeze(1)).round().long()
        row = frame + torch.tensor(videos.bounds[:-1]).unsqueeze(1)
        return (videos.frames[row.flatten()] @ self.components).view(*row.shape, COMPONENTS)

    def positions(self, videos: Videos) -> Tensor:
        """Return the prototype time of each frame, (N, T), by fitting each video's warp to the frozen prototypes."""
        theta, _ = fit_to_prototypes(self.signal(videos), videos.action, self.prototypes, options=OPTIONS, steps=STEPS)
        position = cpab_warp(-theta, torch.linspace(0, 1, 101), num_cells=OPTIONS.num_cells)
        return sample_rows(position.unsqueeze(-1), frame_times(videos.lengths, int(videos.lengths.max()))).squeeze(-1)

    def match(self, videos: Videos) -> Tensor:
        """Return one row of the training frames for each frame of the videos, (F,)."""
        position = self.positions(videos)
        point = prototype_index(position, torch.full_like(videos.lengths, POINTS))
        found = self.typical[videos.action.unsqueeze(1), point]
        return found[torch.arange(position.shape[1]) < videos.lengths.unsqueeze(1)]

    def match_all(self, videos: Videos) -> list[Tensor]:
        """Return a row in *every* training video of the action for each frame, (N_a, L_i) of each video."""
        position = self.positions(videos)
        return [
            lookup_matches(position[i, :length], self.matches[action])
            for i, (length, action) in enumerate(zip(videos.lengths.tolist(), videos.action.tolist(), strict=True))
        ]


def search(train: Videos, test: Videos, backend: str, *, same_action: bool = True) -> Tensor:
    """Return the nearest row of the training frames for each test frame, (F,), by exhaustive search."""
    if not same_action:
        return nearest_rows(test.frames, train.frames, backend=backend)
    found = torch.zeros(len(test.frames), dtype=torch.int64)
    train_action = torch.repeat_interleave(train.action, train.lengths)
    test_action = torch.repeat_interleave(test.action, test.lengths)
    for action in test.action.unique():
        rows = torch.nonzero(train_action == action)[:, 0]
        asked = test_action == action
        found[asked] = rows[nearest_rows(test.frames[asked], train.frames[rows], backend=backend)]
    return found


def timed(call: Callable[[], Tensor], repeats: int = 1) -> tuple[float, Tensor]:
    """Return the best processor time of a few calls, and the result; one thread, so other programs do not count."""
    best, result = float("inf"), torch.empty(0)
    for _ in range(repeats):
        start = time.process_time()
        result = call()
        best = min(best, time.process_time() - start)
    return best, result


def accuracy(train: Videos, test: Videos, found: Tensor) -> float:
    """Return the share of test frames whose match shows the same phase of the same action."""
    same = (
        torch.repeat_interleave(train.action, train.lengths)[found]
        == torch.repeat_interleave(test.action, test.lengths)
    ) & (train.labels[found] == test.labels)
    return same.float().mean().item()


def _backends() -> list[str]:
    """Return the search backends at hand, the faster first."""
    try:
        import faiss
    except ImportError:
        return ["torch"]
    faiss.omp_set_num_threads(1)
    return ["faiss", "torch"]


def main_table(train: Videos, test: Videos, timeline: Timeline, fitting: float) -> list[str]:
    """Compare the methods on the whole set; what takes too long is measured on some videos and scaled."""
    count = len(test.lengths)
    rows: list[tuple[str, float, float, str]] = []
    names = {"faiss": "faiss, flat index", "torch": "torch, in blocks"}
    backends = _backends()
    for number, backend in enumerate(backends):
        some = count if number == 0 else min(6 * ACTIONS, count)
        asked = test.select(torch.arange(count) < some)
        seconds, found = timed(lambda backend=backend, asked=asked: search(train, asked, backend))
        note = "all test videos" if some == count else f"scaled from {some} test videos"
        seconds *= len(test.frames) / len(asked.frames)
        rows.append((f"search within the action, {names[backend]}", seconds, accuracy(train, asked, found), note))
    some = min(ACTIONS, count)
    asked = test.select(torch.arange(count) < some)
    seconds, found = timed(lambda: search(train, asked, backends[0], same_action=False))
    seconds *= len(test.frames) / len(asked.frames)
    note = "all test videos" if some == count else f"scaled from {some} test videos"
    rows.append((f"search in all actions, {names[backends[0]]}", seconds, accuracy(train, asked, found), note))
    seconds, found = timed(lambda: timeline.match(test), repeats=5)
    rows.append(("lookup, one match", seconds, accuracy(train, test, found), "all test videos"))
    seconds, lists = timed(lambda: timeline.match_all(test), repeats=3)
    right = [(train.labels[m] == test.labels[test.rows(i)]).sum(1) for i, m in enumerate(lists)]
    tried = sum(m.numel() for m in lists)
    share = sum(int(r.sum()) for r in right) / tried
    rows.append(("lookup, a match in every video of the action", seconds, share, "all test videos"))
    reference = rows[0][1]
    table = ["| method | seconds | times as fast | phase accuracy | measured on |", "|---|---|---|---|---|"]
    for name, seconds, share, note in rows:
        table.append(f"| {name} | {seconds:.3g} | {reference / seconds:.3g} | {share:.3f} | {note} |")
    positions = timed(lambda: timeline.positions(test), repeats=3)[0]
    table += [
        "",
        f"Of the lookup, {positions:.2g} s are the warps. Aligning the training videos took {fitting:.1f} s.",
    ]
    return table


def curves(world: World, train: Videos, test: Videos) -> tuple[list[list[float]], list[list[float]]]:
    """Time a test video over the number of training videos, and over the length of all videos."""
    backend = _backends()[0]
    sizes, lengths = [], []
    asked = test.select(torch.arange(len(test.lengths)) < 4 * ACTIONS)

    def both(some: Videos, asked: Videos) -> list[float]:
        timeline = Timeline(some)
        slow = timed(lambda: search(some, asked, backend))[0]
        fast = timed(lambda: timeline.match(asked), repeats=5)[0]
        return [1e3 * slow / len(asked.lengths), 1e3 * fast / len(asked.lengths)]

    whole = len(train.lengths)
    for count in [*(n for n in (50, 100, 200, 400, 800) if n < whole), whole]:
        sizes.append([count, *both(train.select(torch.arange(whole) < count), asked)])
    for length in (50, 100, 200, 400, 800):
        some, few = world.videos(10 * ACTIONS, (length, length)), world.videos(4 * ACTIONS, (length, length))
        lengths.append([length, *both(some, few)])
    return sizes, lengths


def draw(sizes: list[list[float]], lengths: list[list[float]], path: Path) -> None:
    """Plot both curves on logarithmic axes."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
    titles = ("training videos N", "frames of each video L")
    for axis, rows, title, power in zip(axes, (sizes, lengths), titles, (1, 2), strict=True):
        x, slow, fast = np.array(rows).T
        label = "O(N)" if power == 1 else "O(L²)"
        axis.loglog(x, slow[-1] * (x / x[-1]) ** power, ":", color="0.6", label=label)
        axis.loglog(x, slow, "o-", color="#c0392b", label="exhaustive search")
        axis.loglog(x, fast, "s-", color="#1f6fb2", label="lookup, warp included")
        axis.set_xlabel(title)
        axis.set_xticks(x, [f"{int(v)}" for v in x])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    axes[0].set_ylabel("ms per test video, one thread")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _curve_table(title: str, rows: list[list[float]]) -> list[str]:
    table = [f"| {title} | search, ms | lookup, ms | times as fast |", "|---|---|---|---|"]
    return table + [f"| {int(x)} | {a:.3g} | {b:.3g} | {a / b:.3g} |" for x, a, b in rows]


def main() -> None:
    """Measure, and write the table and the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=1165, help="training videos")
    parser.add_argument("--test", type=int, default=1161, help="test videos")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder for retrieval.md and retrieval.png")
    parser.add_argument("--cache", type=Path, help="an embedding cache with labels instead; prints the table")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.cache is not None:
        train, test = of_cache(options.cache)
        start = time.process_time()
        print("\n".join(main_table(train, test, Timeline(train), time.process_time() - start)))
        return
    world = World()
    train, test = world.videos(options.train, (20, 600)), world.videos(options.test, (20, 600))
    start = time.process_time()
    timeline = Timeline(train)
    table = main_table(train, test, timeline, time.process_time() - start)
    print("\n".join(table), flush=True)
    sizes, lengths = curves(world, train, test)
    draw(sizes, lengths, options.out / "retrieval.png")
    text = f"""# Speed of frame retrieval

Made by `make bench-retrieval`. {platform.machine()}, one thread, processor seconds, torch {torch.__version__}.

For each frame of {len(test.lengths)} test videos ({len(test.frames):,} frames), the matching frame of
{len(train.lengths)} training videos ({len(train.frames):,} frames): {ACTIONS} actions, 20 to 600 frames, {CHANNELS}
channels, the size of Penn Action. The set is synthetic, so its phases are known: of the variance within a video
{SHARED:.0%} is common to the videos of an action, {OWN:.0%} changes smoothly in a way of its own and {JITTER:.0%}
is noise from frame to frame, shares measured on generated sports clips embedded with an image network. Tempo varies at
random. These figures are about speed; accuracy on synthetic videos says little about real ones.

- **Search** takes the nearest embedding among all training frames, of the same action or of all.
- **Lookup** fits the warp of each test video to the prototypes ({OPTIONS.num_cells} cells, {GRID} samples,
  {COMPONENTS} principal components, {STEPS} Levenberg-Marquardt steps; included in the time), then reads the match off
  the prototype timeline. It knows the action, as the search within the action does.

Phase accuracy is the share of the frames whose match shows the same phase of the same action.

"""
    text += "\n".join(table) + "\n\n![Time of a test video](retrieval.png)\n\n"
    text += "A test video's share of the time, over the number of training videos (20 to 600 frames each):\n\n"
    text += "\n".join(_curve_table("training videos", sizes))
    text += f"\n\nand over the length of all videos ({10 * ACTIONS} training videos):\n\n"
    text += "\n".join(_curve_table("frames", lengths)) + "\n"
    (options.out / "retrieval.md").write_text(text)


if __name__ == "__main__":
    main()
