"""Arguments of the commands that take a run, files and options: ``RUN FILES... key=value ...``."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from tpl_lightning.config import field_type, near_miss, read_typed
from tpl_lightning.errors import UserError, plain_warnings

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


def run_command(
    command: str,
    arguments: Sequence[str],
    options: type[Options],
    run: Callable[[Path, list[str], Options], int],
) -> int:
    """Run a command that takes a run, or clips, and other names.

    Options are read before anything heavy is imported.

    Args:
        command: Its name.
        arguments: What was typed.
        options: Dataclass of the options, see :func:`parse_options`.
        run: Given the first name, the others in order, and the options.

    Raises:
        UserError: If the first name is missing, a key unknown, or a value of the wrong type.
    """
    with plain_warnings():
        names, parsed = parse_options(command, arguments, options)
        if not names:
            clips = ", or clips" if isinstance(parsed, ClipOptions) else ""
            raise UserError(f"tpl {command}: expected a run directory first{clips}: tpl {command} runs/NAME ...")
        return run(Path(names[0]), names[1:], parsed)


def check_ending(command: str, name: str, *endings: str) -> None:
    """Check the ending of the option ``out``.

    Raises:
        UserError: If it is another.
    """
    if Path(name).suffix.lower() not in endings:
        wanted = " or ".join(filter(None, (", ".join(endings[:-1]), endings[-1])))
        raise UserError(f"tpl {command}: expected `out` to end in {wanted}, but got {name}.")


@dataclass(frozen=True)
class RunOptions:
    """Options of all commands that take a run and videos."""

    action: str | None = None
    """only this action; also what new videos show, where their folder does not say it; auto: find out what they show,
    as is done where their folder's name is no action of the run"""
    cache: str | None = None
    """the run's embedding cache, if it has moved"""


@dataclass(frozen=True)
class ClipOptions(RunOptions):
    """Options of the commands that take clips in the place of a run."""

    skip_broken: bool = False
    """leave out videos that cannot be read"""
    progress: bool = True
    """show progress"""
