"""Time the CPAB flow, forward and backward, against difw rebuilt with -O2, and resampling against grid_sample.

Writes benchmarks/warps.md (warps_cuda.md where there is a GPU). Both sides see the same inputs in one process and
take turns; a time is the shortest of all calls, so that a busy machine disturbs neither.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

from tpl_lightning.errors import UserError
from tpl_lightning.functional import resample
from tpl_lightning.functional.warps import cpab_warp, cpab_warp_difw, load_difw

SIZES = [(64, 150, 16), (256, 150, 16), (64, 1000, 32), (1024, 300, 32)]
SIGNALS = [(64, 150, 32), (256, 150, 64), (64, 600, 128)]
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
THREADS = sorted({1, min(2, os.cpu_count() or 1)})


def _shortest(calls: list[Callable[[], object]], seconds: float) -> list[float]:
    """Return each call's shortest time in ms; the calls take turns for so many seconds."""
    best = [float("inf")] * len(calls)
    for _ in range(2):  # compiles, fills caches
        for call in calls:
            call()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for i, call in enumerate(calls):
            for _ in range(5):
                start = time.perf_counter()
                call()
                if DEVICE.type == "cuda":
                    torch.cuda.synchronize()
                best[i] = min(best[i], 1e3 * (time.perf_counter() - start))
    return best


def _forward_backward(warp: Callable[..., Tensor], theta: Tensor, points: Tensor, cells: int) -> Callable[[], object]:
    theta = theta.clone().requires_grad_()
    weight = torch.randn(len(theta), len(points), device=DEVICE)
    return lambda: torch.autograd.grad((warp(theta, points, num_cells=cells) * weight).sum(), theta)


def _flow_table(seconds: float) -> list[str]:
    try:
        load_difw()
        with_difw = True
    except UserError as error:
        print(error)
        with_difw = False
    lines = [
        "| threads | batch | points | cells | ours forward, ms | ours, ms | difw -O2, ms | times as fast |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for threads in THREADS:
        torch.set_num_threads(threads)
        for batch, points, cells in SIZES:
            theta = torch.randn(batch, cells - 1, device=DEVICE) * 0.1 * cells
            grid = torch.linspace(0, 1, points, device=DEVICE)
            calls = [
                lambda theta=theta, grid=grid, cells=cells: cpab_warp(theta, grid, num_cells=cells),
                _forward_backward(cpab_warp, theta, grid, cells),
            ]
            if with_difw:
                calls.append(_forward_backward(cpab_warp_difw, theta, grid, cells))
            times = _shortest(calls, seconds)
            rest = f"{times[2]:.2f} | {times[2] / times[1]:.1f}" if with_difw else "- | -"
            lines.append(f"| {threads} | {batch} | {points} | {cells} | {times[0]:.2f} | {times[1]:.2f} | {rest} |")
            print(lines[-1], flush=True)
    return lines


def _grid_sample(signal: Tensor, times: Tensor) -> Tensor:
    """The same by torch's image sampler, a signal as an image one row high; (B, T, C) in and out."""
    grid = torch.stack([2 * times - 1, torch.zeros_like(times)], -1).unsqueeze(1)
    image = signal.transpose(1, 2).unsqueeze(2)
    return torch.nn.functional.grid_sample(image, grid, align_corners=True).squeeze(2).transpose(1, 2)


def _resample_table(seconds: float) -> list[str]:
    lines = ["| batch | frames | channels | ours, ms | grid_sample, ms | times as fast |", "|---|---|---|---|---|---|"]
    for batch, frames, channels in SIGNALS:
        signal = torch.randn(batch, frames, channels, device=DEVICE, requires_grad=True)
        times = torch.rand(batch, frames, device=DEVICE).sort(1).values.requires_grad_()
        lengths = torch.full((batch,), frames, device=DEVICE)
        weight = torch.randn(batch, frames, channels, device=DEVICE)
        torch.testing.assert_close(_grid_sample(signal, times), resample(signal, times, lengths), atol=1e-3, rtol=1e-3)

        def ours(signal: Tensor = signal, times: Tensor = times, n: Tensor = lengths, w: Tensor = weight) -> object:
            return torch.autograd.grad((resample(signal, times, n) * w).sum(), (signal, times))

        def peer(signal: Tensor = signal, times: Tensor = times, w: Tensor = weight) -> object:
            return torch.autograd.grad((_grid_sample(signal, times) * w).sum(), (signal, times))

        best = _shortest([ours, peer], seconds)
        row = f"| {batch} | {frames} | {channels} | {best[0]:.2f} | {best[1]:.2f} | {best[1] / best[0]:.1f} |"
        lines.append(row)
        print(row)
    return lines


def _machine() -> str:
    """Tell what the figures were measured on."""
    if DEVICE.type == "cuda":
        name = torch.cuda.get_device_name()
    else:
        info = Path("/proc/cpuinfo")
        models = (
            [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
        )
        name = f"{models[0].split(':')[1].strip() if models else platform.processor()}, {os.cpu_count()} cores"
    load = f", load {os.getloadavg()[0]:.1f} before the start" if hasattr(os, "getloadavg") else ""
    return f"{name}, {platform.machine()}{load}; torch {torch.__version__}, difw {version('difw')}"


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="time spent on each row")
    seconds = parser.parse_args().seconds
    torch.manual_seed(0)
    text = [
        "# Speed of the warps",
        "",
        f"Made by `make bench-warps`. {_machine()}.",
        "Forward and backward in theta, float32 in and out (float64 inside); the shortest of all calls within",
        f"{seconds:g} s per row, in which the two sides take turns. difw runs on the CPU.",
        "",
        *_flow_table(seconds),
        "",
        f"Resampling (B, T, C) signals at warped times, forward and backward in both, {THREADS[-1]} threads:",
        "",
        *_resample_table(seconds),
    ]
    out = Path(__file__).with_name("warps_cuda.md" if DEVICE.type == "cuda" else "warps.md")
    out.write_text("\n".join(text) + "\n", encoding="utf-8")
    print(f"written: {out}")


if __name__ == "__main__":
    main()
