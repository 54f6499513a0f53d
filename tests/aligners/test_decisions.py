"""Whether ends are open, by what a fit finds."""

import torch

from tpl_lightning.aligners.decisions import ends_differ
from tpl_lightning.groupwise import JointOptions, JointStart

GRID = torch.linspace(0, 1, 128)


def _start(begin, end):
    """Videos (N, 128, 4) that show a smooth motion from ``begin`` to ``end``, before and behind which it rests."""
    generator = torch.Generator().manual_seed(0)
    time = (begin.unsqueeze(1) + (end - begin).unsqueeze(1) * GRID).clamp(0, 1)
    signal = torch.stack([torch.sin(7 * time), torch.cos(5 * time), time, torch.sin(11 * time)], -1)
    signal = signal + 0.05 * torch.randn(signal.shape, generator=generator)
    signal = (signal - signal.mean(1, keepdim=True)) / signal.var(1).sum(-1).mean().sqrt()
    action = torch.arange(len(begin)) % 2
    return JointStart.find(signal, action, num_actions=2, options=JointOptions(ends=True))


def test_ends_differ_where_clips_are_cut_or_wait():
    share = torch.linspace(0, 1, 16)[torch.randperm(16, generator=torch.Generator().manual_seed(1))]
    whole = torch.zeros(16)
    assert not ends_differ(_start(whole, whole + 1))
    assert ends_differ(_start(0.2 * share, 1 - 0.2 * share.flip(0)))
    assert ends_differ(_start(-0.15 - 0.2 * share, 1.15 + 0.2 * share.flip(0)))
