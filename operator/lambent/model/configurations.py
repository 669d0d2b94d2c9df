"""Parts of a function's configuration: /tmp, logging, tracing and file systems."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from . import limits
from .fields import Fields
from .schemas import Rule

_LEVEL_DEFAULT = "INFO"
LOG_LEVELS_WITH_JSON = "To set a log level, logFormat must be JSON: with Text every line is written."


class EphemeralStorage(Fields):
    """The size of /tmp."""

    size: Annotated[
        int,
        Field(ge=limits.EPHEMERAL_MB_MIN, le=limits.EPHEMERAL_MB_MAX, description="Size of the /tmp directory, in MB."),
    ] = limits.EPHEMERAL_MB_DEFAULT
    medium: Annotated[
        Literal["Disk", "Memory"],
        Field(
            description="Disk: the node's; who writes more than the size is evicted after some seconds. Memory: who "
            "writes more gets ENOSPC at once; an environment then asks for memorySize and this size of memory."
        ),
    ] = "Disk"


class LoggingConfig(Fields):
    """How the function's log is written."""

    rules = (
        Rule(
            "(has(self.logFormat) && self.logFormat == 'JSON') || "
            "(!has(self.applicationLogLevel) && !has(self.systemLogLevel))",
            LOG_LEVELS_WITH_JSON,
            ".logFormat",
        ),
    )
    log_format: Annotated[
        Literal["Text", "JSON"], Field(description="Text, or JSON: one object a line, filtered by level.")
    ] = "Text"
    application_log_level: Annotated[
        Literal["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"] | None,
        Field(description="Least level of the function's own lines, with JSON. INFO without it."),
    ] = None
    system_log_level: Annotated[
        Literal["DEBUG", "INFO", "WARN"] | None,
        Field(description="Least level of the platform's lines, with JSON. INFO without it."),
    ] = None
    log_group: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=512,
            pattern=r"^[.\-_/#A-Za-z0-9]+$",
            description="Name of the log group that the function is told. Default: /aws/lambda/<function name>.",
        ),
    ] = None

    def told(self) -> dict[str, str]:
        """What environments are told, in the API's names: with JSON both levels; nothing where it is the default."""
        told = {"logGroup": self.log_group} if self.log_group else {}
        if self.log_format == "JSON":
            told |= {
                "logFormat": "JSON",
                "applicationLogLevel": self.application_log_level or _LEVEL_DEFAULT,
                "systemLogLevel": self.system_log_level or _LEVEL_DEFAULT,
            }
        return told


class TracingConfig(Fields):
    """Whether invocations are traced."""

    mode: Annotated[
        Literal["Active", "PassThrough"],
        Field(
            description="Active: an invocation whose caller has not decided is sampled. PassThrough: only the caller "
            "decides."
        ),
    ] = "PassThrough"


class FileSystemConfig(Fields):
    """A file system that environments mount."""

    arn: Annotated[
        str,
        Field(
            min_length=1,
            max_length=200,
            pattern=r"^(arn:aws[a-zA-Z-]*:elasticfilesystem:[a-z0-9-]+:[0-9]{12}:access-point/)?"
            r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
            description="An ARN arn:aws:elasticfilesystem:<region>:<account>:access-point/<name> or a bare name; it "
            "means the PersistentVolumeClaim <name> in the function's namespace, which several nodes may have to "
            "mount at the same time (ReadWriteMany).",
        ),
    ]
    local_mount_path: Annotated[
        str,
        Field(
            max_length=160,
            pattern=r"^/mnt/[a-zA-Z0-9_.-]*[a-zA-Z0-9_-][a-zA-Z0-9_.-]*$",  # no /mnt/. and no /mnt/..
            description="Where the function finds it: one folder directly under /mnt/.",
        ),
    ]
    read_only: Annotated[bool, Field(description="Mount it without the right to write. Default: false.")] = False

    @property
    def claim_name(self) -> str:
        """Name of the PersistentVolumeClaim that the ARN means."""
        return self.arn.rsplit("/", 1)[-1]
