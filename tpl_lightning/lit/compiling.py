"""Compilation of the networks that a module trains (``train.compile``)."""

import os
import shutil
from typing import Any

import torch
from lightning import LightningModule
from torch import nn

from tpl_lightning.errors import UserError
from tpl_lightning.lit.module import AlignmentModule


def compile_network(module: LightningModule) -> None:
    """Compile the networks that the module trains, in place: names in checkpoints stay as they are.

    Warps are left as they are: their loop is over tensors of the caller's shapes, and takes a small part of the time.
    Convolutions that are trained are compiled for one size at a time, whatever ``dynamic`` says; batches are
    padded so that there are few sizes (``COMPILED_STEP``).

    Raises:
        UserError: If a CPU is trained on and there is no C++ compiler.
    """
    if not torch.cuda.is_available() and not any(map(shutil.which, ("g++", "clang++", os.environ.get("CXX", "g++")))):
        raise UserError(
            "train.compile=true needs a C++ compiler on a CPU (g++ or clang++); install one, or leave it out."
        )
    whole: list[Any] = list(module.model.children()) if isinstance(module, AlignmentModule) else [module.network]
    parts = [part for part in whole if any(True for _ in part.parameters())]
    for part in parts:
        assert isinstance(part, nn.Module)
        part.compile(dynamic=False)
    # Frames up to 600 or points, batches whose sizes differ by one, training and validation.
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 64)
