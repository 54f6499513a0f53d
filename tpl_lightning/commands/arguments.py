"""Arguments of the commands that take a run, files and options: ``RUN FILES... key=value ...``."""

import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from tpl_lightning.config import field_type, near_miss, read_typed
from tpl_lightning.errors import UserError

__all__ = ["parse_arguments", "parse_options"]

Options = TypeVar("Options")


def parse_options(command: str, arguments: Sequence[str], options: type[Options]) -> tuple[list[str], Options]:
    """Split the arguments of a command into names and options.

    Args:
        command: Its name, for messages.
        arguments: What was typed.
        options: Dataclass of the options; fields have defaults, and may check themselves in ``__post_init__``. One with
            metadata ``key`` is typed by that name.

    Returns:
        What has no key, in order, and the options.

    Raises:
        UserError: If a key is unknown, or a value of the wrong type.
    """
    known = {field.metadata.get("key", field.name): field for field in fields(options)}  # type: ignore[arg-type]
    names: list[str] = []
    values: dict[str, Any] = {}
    for argument in arguments:
        key, equals, value = argument.removeprefix("--").partition("=")
        key = "cache" if key == "data.cache" and "cache" in known else key
        if not equals or (key not in known and os.path.exists(argument)):
            if argument.startswith("-"):
                raise UserError(f"tpl {command}: {argument}: options are written key=value; see tpl {command} --help.")
            names.append(argument)
            continue
        if key not in known:
            raise UserError(
                f"tpl {command}: unknown key `{key}`{near_miss(key, known)}; there are: {', '.join(known)}."
            )
        try:
            values[known[key].name] = read_typed(value, field_type(options, known[key].name))
        except ValueError as error:
            raise UserError(f"tpl {command}: wrong value for `{key}`: {error}.") from error
    return names, options(**values)


def parse_arguments(command: str, arguments: Sequence[str], options: type[Options]) -> tuple[Path, list[str], Options]:
    """Split the arguments of a command that takes a run into the run directory, other names and options.

    Args:
        command: Its name, for messages.
        arguments: What was typed.
        options: Dataclass of the options, see :func:`parse_options`.

    Returns:
        The run directory, the other names in order, and the options.

    Raises:
        UserError: If the run is missing, a key unknown, or a value of the wrong type.
    """
    names, parsed = parse_options(command, arguments, options)
    if not names:
        clips = ", or clips" if hasattr(parsed, "skip_broken") else ""
        raise UserError(f"tpl {command}: expected a run directory first{clips}: tpl {command} runs/NAME ...")
    return Path(names[0]), names[1:], parsed
