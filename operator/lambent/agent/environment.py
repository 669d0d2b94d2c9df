"""The environment variables of the runtime: Lambda's own, then the function's, which cannot override reserved ones."""

import os
import re
import time
from typing import Final

from .protocol.claims import Claim
from .settings import Settings

RESERVED: Final = frozenset(
    {
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_FORMAT",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_LEVEL",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_MAX_CONCURRENCY",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "LAMBDA_RUNTIME_DIR",
        "LAMBDA_TASK_ROOT",
    }
)
"""Lambda's documentation, section "Defined runtime environment variables"; a leading `_` is reserved too."""

_OF_EVERY_RUNTIME: Final = {
    "TZ": ":UTC",
    "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
    "AWS_XRAY_DAEMON_ADDRESS": "127.0.0.1:2000",
}

_LANGUAGE: Final = re.compile(r"([a-z]+)([0-9.]*)")

OWN_PREFIX: Final = "LAMBENT_"
"""The agent's own variables: kept from children whoever sets them."""


def standing_variables(settings: Settings, runtime_port: int) -> dict[str, str]:
    """What is known before any claim, so that a runtime can wait with it: only defaults that users may override."""
    task, opt, runtime = settings.task_root, settings.opt_root, settings.runtime_dir
    if settings.program is not None:
        return {
            **_OF_EVERY_RUNTIME,
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",  # an image may have none
            **settings.program.environment,
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{runtime_port}",
            "LAMBDA_TASK_ROOT": task,
            "LAMBDA_RUNTIME_DIR": runtime,
        }
    return {
        **_OF_EVERY_RUNTIME,
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{runtime_port}",
        "LAMBDA_TASK_ROOT": task,
        "LAMBDA_RUNTIME_DIR": runtime,
        "LANG": "en_US.UTF-8",
        "PATH": f"/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:{opt}/bin",
        "LD_LIBRARY_PATH": (f"/var/lang/lib:/lib64:/usr/lib64:{runtime}:{runtime}/lib:{task}:{task}/lib:{opt}/lib"),
    }


def language_variables(identifier: str, settings: Settings) -> dict[str, str]:
    """What a managed runtime of this language has besides: where its libraries lie, layers' before the function's."""
    task, opt, runtime = settings.task_root, settings.opt_root, settings.runtime_dir
    known = _LANGUAGE.match(identifier)
    family, version = known.groups() if known else ("", "")
    if family == "python":
        return {"PYTHONPATH": runtime}
    if family == "nodejs":
        major = version.partition(".")[0]
        own = f"{opt}/nodejs/node{major}/node_modules:" if major else ""
        return {"NODE_PATH": f"{own}{opt}/nodejs/node_modules:{runtime}/node_modules:{runtime}:{task}"}
    if family == "ruby":
        places = f"{task}/vendor/bundle/ruby/{version}.0:{opt}/ruby/gems/{version}.0"
        return {"GEM_PATH": places, "RUBYLIB": f"{task}:{runtime}/lib:{opt}/ruby/lib"}
    return {"AWS_LAMBDA_DOTNET_PREJIT": "Once"} if family == "dotnet" else {}


def runtime_variables(claim: Claim, settings: Settings, standing: dict[str, str], log_stream: str) -> dict[str, str]:
    """Everything the runtime's process gets for this function."""
    own = {name: value for name, value in {**claim.env, **settings.variables}.items() if _allowed(name)}
    languages = language_variables(claim.runtime, settings) if settings.program is None else {}
    variables = {**standing, **languages, **own, **_identity(claim, log_stream)}
    if settings.program is not None:
        variables["_HANDLER"] = claim.handler or settings.program.handler
    host, _, port = variables["AWS_XRAY_DAEMON_ADDRESS"].rpartition(":")
    variables.update(
        AWS_LAMBDA_RUNTIME_API=standing["AWS_LAMBDA_RUNTIME_API"],
        LAMBDA_TASK_ROOT=standing["LAMBDA_TASK_ROOT"],
        LAMBDA_RUNTIME_DIR=standing["LAMBDA_RUNTIME_DIR"],
        _AWS_XRAY_DAEMON_ADDRESS=host,
        _AWS_XRAY_DAEMON_PORT=port,
    )
    return variables


def log_stream_name(version: str) -> str:
    """`YYYY/MM/DD/[version]<32 hex digits>`."""
    return f"{time.strftime('%Y/%m/%d', time.gmtime())}/[{version}]{os.urandom(16).hex()}"


def _identity(claim: Claim, log_stream: str) -> dict[str, str]:
    variables = {
        "_HANDLER": claim.handler,
        "AWS_REGION": claim.region,
        "AWS_DEFAULT_REGION": claim.region,
        "AWS_LAMBDA_FUNCTION_NAME": claim.functionName,
        "AWS_LAMBDA_FUNCTION_VERSION": claim.version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(claim.memoryMb),
        "AWS_LAMBDA_INITIALIZATION_TYPE": claim.initType,
        "AWS_LAMBDA_LOG_GROUP_NAME": str(claim.logging.get("logGroup") or f"/aws/lambda/{claim.functionName}"),
        "AWS_LAMBDA_LOG_STREAM_NAME": log_stream,
    }
    # Lambda does not set it for OS-only runtimes.
    if claim.runtime and not claim.runtime.startswith("provided"):
        variables["AWS_EXECUTION_ENV"] = f"AWS_Lambda_{claim.runtime}"
    for name, key in (("AWS_LAMBDA_LOG_FORMAT", "logFormat"), ("AWS_LAMBDA_LOG_LEVEL", "applicationLogLevel")):
        value = claim.logging.get(key)
        if isinstance(value, str) and value:
            variables[name] = value
    return variables


def _allowed(name: str) -> bool:
    return name not in RESERVED and not name.startswith("_") and not name.startswith(OWN_PREFIX)
