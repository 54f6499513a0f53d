"""Sweep files for tests."""

import yaml

COMMAND = ["${env}", "${program}", "fit", "${args_no_hyphens}"]


LR = {"train.lr": {"distribution": "log_uniform_values", "min": 1e-4, "max": 1e-1}}


def write_sweep(folder, parameters=None, **more):
    raw = {
        "program": "tpl",
        "command": COMMAND,
        "method": "random",
        "parameters": LR if parameters is None else parameters,
        **more,
    }
    path = folder / "s.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path
