"""Print the lowest versions that setup.cfg allows, of all but torch, as constraints for pip (`make test-oldest`)."""

import re
from configparser import ConfigParser
from pathlib import Path


def lowest_pins(text: str) -> list[str]:
    """Return ``name==version`` for each requirement with a lower bound in a setup.cfg, extras included."""
    parser = ConfigParser(interpolation=None)
    parser.read_string(text)
    lines = [parser["options"]["install_requires"], *parser["options.extras_require"].values()]
    found = re.findall(r"^\s*([\w.-]+)\s*[=>]=\s*([\w.]+)", "\n".join(lines), flags=re.MULTILINE)
    # What was tested is torch's floor: an older one would need other versions of everything.
    return [f"{name}=={version}" for name, version in found if name != "torch"]


if __name__ == "__main__":
    print("\n".join(lowest_pins((Path(__file__).parent.parent / "setup.cfg").read_text())))
