"""Time the CPAB flow, forward and backward, against difw rebuilt with -O2, and resampling against grid_sample.

Writes benchmarks/warps.md (warps_cuda.md where there is a GPU). Both sides see the same inputs in one process; each
time is the best of several repetitions, in turn, so that a busy machine slows both.
"""

import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from tpl_lightning.errors import UserError
from tpl_lightning.functional.cpab import cpab_warp
from tpl_lightning.functional.difw_backend import cpab_warp_difw, load_difw
from tpl_lightning.functional.resample import resample

SIZES = [(64, 150, 16), (256, 150, 16), (64, 1000, 32), (1024, 300, 32)]
SIGNALS = [(64, 150, 32), (256, 150, 64), (64, 600, 128)]
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _seconds(call: Callable[[], object], budget: float = 0.15) -> float:
    """Return the mean time of one call over about ``budget`` seconds."""
    count, start = 0, time.perf_counter()
    while count == 0 or time.perf_counter() - start < budget:
        call()
        count += 1
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()
    return (time.perf_counter() - start) / count


def _best(calls: list[Callable[[], object]], rounds: int = 7) -> list[float]:
    """Return each call's best time; the calls take turns."""
    for call in calls:
        call()
    times = [[_seconds(call) for call in calls] for _ in range(rounds)]
    return [min(column) for column in zip(*times, strict=True)]


def _forward_backward(warp: Callable[..., Tensor], theta: Tensor, points: Tensor, cells: int) -> Callable[[], object]:
    theta = theta.clone().requires_grad_()
    weight = torch.randn(len(theta), len(points), device=DEVICE)
    return lambda: torch.autograd.grad((warp(theta, points, num_cells=cells) * weight).sum(), theta)


def _flow_table() -> list[str]:
    try:
        load_difw()
        with_difw = True
    except UserError as error:
        print(error)
        with_difw = False
    lines = ["| batch | points | cells | ours, ms | difw -O2, ms | times as fast |", "|---|---|---|---|---|---|"]
    for batch, points, cells in SIZES:
        theta = torch.randn(batch, cells - 1, device=DEVICE) * 0.1 * cells
        grid = torch.linspace(0, 1, points, device=DEVICE)
        calls = [_forward_backward(cpab_warp, theta, grid, cells)]
        if with_difw:
            calls.append(_forward_backward(cpab_warp_difw, theta, grid, cells))
        times = [1e3 * t for t in _best(calls)]
        rest = f"{times[1]:.2f} | {times[1] / times[0]:.1f}" if with_difw else "- | -"
        lines.append(f"| {batch} | {points} | {cells} | {times[0]:.2f} | {rest} |")
        print(lines[-1])
    return lines


def _grid_sample(signal: Tensor, times: Tensor) -> Tensor:
    """The same by torch's image sampler, a signal as an image one row high; (B, T, C) in and out."""
    grid = torch.stack([2 * times - 1, torch.zeros_like(times)], -1).unsqueeze(1)
    image = signal.transpose(1, 2).unsqueeze(2)
    return torch.nn.functional.grid_sample(image, grid, align_corners=True).squeeze(2).transpose(1, 2)


def _resample_table() -> list[str]:
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

        best = [1e3 * t for t in _best([ours, peer])]
        row = f"| {batch} | {frames} | {channels} | {best[0]:.2f} | {best[1]:.2f} | {best[1] / best[0]:.1f} |"
        lines.append(row)
        print(row)
    return lines


def main() -> None:
    """Measure and write the table."""
    torch.manual_seed(0)
    name = torch.cuda.get_device_name() if DEVICE.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    where = f"{name}, {platform.machine()}, torch {torch.__version__}"
    text = [
        "# Speed of the warps",
        "",
        f"Made by `make bench-warps`. {where}. Forward and backward in theta, float32 in and out (float64 inside);",
        "best of 7 rounds in which the two sides take turns. difw runs on the CPU.",
        "",
        *_flow_table(),
        "",
        "Resampling (B, T, C) signals at warped times, forward and backward in signal and times:",
        "",
        *_resample_table(),
    ]
    out = Path(__file__).with_name("warps_cuda.md" if DEVICE.type == "cuda" else "warps.md")
    out.write_text("\n".join(text) + "\n", encoding="utf-8")
    print(f"written: {out}")


if __name__ == "__main__":
    main()
