"""Experiments and sweeps that come with the package: found by name, wherever a command is run."""

from pathlib import Path

_FOLDER = Path(__file__).parent.parent / "experiments"


def find_yaml(path: Path, kind: str = ".") -> Path:
    """Return the file itself, or the packaged one of this name where there is none: ``genai``, ``experiments/x.yaml``.

    Args:
        path: As it was typed.
        kind: Folder of the packaged files in which a bare name is looked for, ``.`` or ``sweeps``.
    """
    if path.is_file() or path.is_absolute() or ".." in path.parts:
        return path
    inside = path.relative_to("experiments") if path.parts[:1] == ("experiments",) else path
    if not inside.name:
        return path
    names = (inside, inside.with_name(f"{inside.name}.yaml"))
    named = [_FOLDER / folder / name for folder in (kind, ".") for name in names]
    return next((place for place in named if place.is_file()), path)


def packaged_names(kind: str = ".") -> str:
    """Return the names of the packaged files of a kind, for messages."""
    return ", ".join(sorted(place.stem for place in (_FOLDER / kind).glob("*.yaml")))
