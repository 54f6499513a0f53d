"""How far results about 1 may be off, by the type that they are computed in: some units in the last place."""

import torch

__all__ = ["TOLERANCES"]

TOLERANCES = {
    torch.float64: {"rtol": 1e-9, "atol": 1e-9},
    torch.float32: {"rtol": 1e-5, "atol": 1e-5},
    torch.float16: {"rtol": 0.01, "atol": 0.01},
    torch.bfloat16: {"rtol": 0.08, "atol": 0.08},
}
