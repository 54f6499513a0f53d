"""What a method sets beside its name: laid over the defaults, under files and arguments."""

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    # D-MTAE whose aligner sees the prototype, at full width (docs/methods/tpl_plus.md).
    "tpl_plus": {
        "model": {
            "aligner": "path",
            "encoder": "linear",
            "latent_dim": None,
            "latent_norm": "total",
            "derivative": 0.5,
            "projection": "discriminant",
        },
        "loss": {"leave_one_out": True},
        "train": {"val_every": 10},
    },
}
