"""The configuration of an image: what it starts, and where. `User` counts for nothing: environments have their own uid.

`Env` is not read either: the container has it from the image itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lambent.model import limits
from lambent.model.errors import InvalidImage

from .documents import as_text, field_list, field_object, field_text, read_object
from .manifests import not_supported, platform_of, read_platform, wrong_platform

COMMAND_BYTES_MAX = 64 * 1024
"""ENTRYPOINT and CMD as JSON: the status keeps them, and a variable of a process has at most 128 KiB."""
DIRECTORY_CHARS_MAX = 4096


@dataclass(frozen=True, slots=True)
class ImageStart:
    """What an image says of how it is started."""

    entry_point: tuple[str, ...]
    command: tuple[str, ...]
    working_directory: str


def parse_config(uri: str, document: bytes, architecture: str) -> ImageStart:
    """What the configuration says, when it is one for this architecture.

    Raises:
        InvalidImage: it is none, or not for this architecture.
    """
    try:
        fields = read_object(document)
        found, wanted = read_platform(fields), platform_of(architecture)
        said = field_object(fields, "config")
        start = ImageStart(
            _arguments(said, "Entrypoint"), _arguments(said, "Cmd"), field_text(said, "WorkingDir") or "/"
        )
    except ValueError:
        raise not_supported(uri) from None
    if (found.os, found.architecture) != (wanted.os, wanted.architecture):
        raise wrong_platform(uri, str(found) or "no platform", architecture)
    _bound(uri, start)
    return start


def _bound(uri: str, start: ImageStart) -> None:
    """What no status can hold, or no process be started with, is refused."""
    if not start.working_directory.startswith("/") or len(start.working_directory) > DIRECTORY_CHARS_MAX:
        raise InvalidImage(
            f"WORKDIR of the source image {uri} is not an absolute path of at most {DIRECTORY_CHARS_MAX} characters."
        )
    arguments = (*start.entry_point, *start.command)
    if (
        len(arguments) > limits.IMAGE_ARGUMENTS_MAX
        or any(len(argument) > limits.IMAGE_ARGUMENT_CHARS_MAX for argument in arguments)
        or len(json.dumps(arguments)) > COMMAND_BYTES_MAX
    ):
        raise InvalidImage(
            f"ENTRYPOINT and CMD of the source image {uri} are too long: at most {limits.IMAGE_ARGUMENTS_MAX} "
            f"arguments of {limits.IMAGE_ARGUMENT_CHARS_MAX} characters, {COMMAND_BYTES_MAX} bytes together."
        )


def _arguments(fields: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return tuple(as_text(argument, name) for argument in field_list(fields, name))
