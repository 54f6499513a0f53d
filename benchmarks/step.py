"""Where the time of a training step of TPL goes: writes benchmarks/step.md.

Usage: python benchmarks/step.py

The step is that of `tpl fit method=tpl`: padding and preprocessing of the batch, networks, warps, losses, backward,
AdamW. What waits for data is in benchmarks/data.md. Times of phases are those of the clock, times of operators those of
torch.profiler without their callees; linear maps are convolutions over one frame.
"""

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from tpl_lightning.config import config_to_dict, load_config
from tpl_lightning.data import PackedBatch, Preprocessor
from tpl_lightning.functional import resample
from tpl_lightning.lit import TPLModule
from tpl_lightning.nn import dmtae

FOLDER = Path(__file__).parent
SIZES = ((64, 120, 768), (64, 600, 128))
ACTIONS, STEPS = 5, 10
DATA, NETWORKS, WARPS = "padding, preprocessing", "forward: networks", "forward: warps, resampling"
LOSSES, BACKWARD, OPTIMISER = "forward: losses", "backward", "optimiser's step"
KINDS = {
    "convolutions and linear maps": ("convolution", "aten::mm", "addmm", "aten::bmm"),
    "warps": ("CPABFlow", "searchsorted", "cumsum"),
    "resampling": ("index_select", "index_add", "lerp", "scatter_add", "gather"),
    "normalisation, activation, pooling": ("layer_norm", "gelu", "threshold", "relu", "max_pool"),
    "optimiser": ("Optimizer", "AdamW", "_foreach", "_fused"),
}


class Phases:
    """Adds up the seconds that are spent in parts of a step."""

    def __init__(self) -> None:
        """Start at 0."""
        self.seconds: dict[str, float] = {}

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, whose time counts for a phase."""

        def counted(*args: Any, **options: Any) -> Any:
            start = time.perf_counter()
            result = function(*args, **options)
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start
            return result

        return counted

    def shares(self) -> dict[str, float]:
        """Return the share of every phase; what else a forward pass does are the losses."""
        seconds, total = dict(self.seconds), sum(self.seconds[k] for k in (DATA, "forward", BACKWARD, OPTIMISER))
        losses = seconds.pop("forward") - seconds[NETWORKS] - seconds[WARPS]
        order = {DATA: seconds[DATA], NETWORKS: seconds[NETWORKS], WARPS: seconds[WARPS], LOSSES: losses}
        order |= {BACKWARD: seconds[BACKWARD], OPTIMISER: seconds[OPTIMISER]}
        return {name: value / total for name, value in order.items()}


def make_step(batch: int, frames: int, channels: int, phases: Phases) -> Callable[[], None]:
    """Return a function that does one step."""
    torch.manual_seed(0)
    lengths = torch.randint(frames // 2, frames + 1, (batch,))
    lengths[0] = frames
    metadata = {
        "actions": [f"action_{i}" for i in range(ACTIONS)],
        "prototype_lengths": [frames * 3 // 4] * ACTIONS,
        "num_channels": channels,
        "phase_names": {},
    }
    module = TPLModule(config_to_dict(load_config(["method=tpl"])), metadata)
    module.icae_weight = 0.5
    module.log_losses = lambda losses: None  # there is no Trainer
    prepare = Preprocessor(True, torch.zeros(channels), None, 1.0).padded
    count = int(lengths.sum()) + 1
    data = PackedBatch(
        frames=torch.randn(count, channels).half().index_fill_(0, torch.tensor([count - 1]), 0),
        lengths=lengths,
        labels=torch.zeros(count, dtype=torch.int16),
        action=torch.arange(batch) % ACTIONS,
        video_index=torch.arange(batch),
        size=frames,
    )
    optimizer = torch.optim.AdamW(module.parameters(), fused=True)  # as `tpl fit` does without mixed precision
    model = module.model
    for network in (model.encoder, model.aligner, model.decoder):
        network.forward = phases.timed(NETWORKS, network.forward)  # type: ignore[method-assign]
    model.time_maps = phases.timed(WARPS, model.time_maps)  # type: ignore[method-assign]
    dmtae.resample = phases.timed(WARPS, resample)  # type: ignore[attr-defined]
    prepared = phases.timed(DATA, lambda: prepare(module.on_before_batch_transfer(data, 0)))
    forward = phases.timed("forward", module.training_step)
    backward = phases.timed(BACKWARD, torch.Tensor.backward)
    update = phases.timed(OPTIMISER, optimizer.step)

    def step() -> None:
        optimizer.zero_grad()
        backward(forward(prepared(), 0))
        update()

    return step


def measure(batch: int, frames: int, channels: int) -> tuple[float, dict[str, float], dict[str, float]]:
    """Return the seconds of a step, the share of each phase, and that of each kind of operators."""
    phases = Phases()
    step = make_step(batch, frames, channels, phases)
    step()
    phases.seconds.clear()
    seconds = []
    for _ in range(STEPS):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    shares = phases.shares()
    times = min((time_by_kind(step) for _ in range(STEPS)), key=lambda found: sum(found.values()))
    return min(seconds), shares, {kind: value / sum(times.values()) for kind, value in times.items()}


def time_by_kind(step: Callable[[], None]) -> dict[str, float]:
    """Return the microseconds of each kind of operators in one step."""
    with profile(activities=[ProfilerActivity.CPU]) as found:
        step()
    times = dict.fromkeys([*KINDS, "other elementwise operations and copies"], 0.0)
    for event in found.key_averages():
        kind = next((k for k, words in KINDS.items() if any(w in event.key for w in words)), list(times)[-1])
        times[kind] += event.self_cpu_time_total
    return times


def main() -> None:
    """Measure both sizes and write the table."""
    found = {size: measure(*size) for size in SIZES}
    names = [f"batch {b}, {t} frames, {c} channels" for b, t, c in SIZES]
    rows = ["| | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    rows.append("| seconds of a step | " + " | ".join(f"{found[s][0]:.3f}" for s in SIZES) + " |")
    for part, title in ((1, "phases"), (2, "operators")):
        rows.append(f"| **{title}** |" + " |" * len(SIZES))
        for name in found[SIZES[0]][part]:
            rows.append(f"| {name} | " + " | ".join(f"{found[s][part][name]:.0%}" for s in SIZES) + " |")
    load = f"{torch.get_num_threads()} used, load {os.getloadavg()[0]:.1f}"
    text = "\n".join(
        [
            "# A training step of TPL",
            "",
            f"Made by `make bench-step`. {os.cpu_count()} CPU cores, {platform.machine()}, {load}; "
            f"torch {torch.__version__}.",
            "The shortest of some steps. Shares of the phases of all of them, and of operators, backward included, in "
            "the shortest of some more.",
            "",
            *rows,
        ]
    )
    (FOLDER / "step.md").write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
