"""One run of a function on this machine: everything is started for it, and nothing of it is left."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lambent.agent.protocol.claims import Claim, Code
from lambent.cli.outcomes import CommandFailed, ExitCode

from . import manifests, runtimes, sources, variables
from .agents import Agent, Sink
from .doors import Call, Door, Outcome
from .manifests import Manifest

if TYPE_CHECKING:
    from lambent.model.functions import FunctionSpec

ACCOUNT = "000000000000"
_LINUX = "/proc/self/stat"
_LOG_FIELDS = {"log_format", "application_log_level", "system_log_level", "log_group"}


@dataclass(frozen=True, slots=True)
class Order:
    """What a person asked for."""

    file: Path
    function: str | None
    code: str | None
    layers: tuple[Path, ...]
    env: tuple[str, ...]
    env_file: str | None
    timeout: float | None
    interpreter: str | None
    client_context: str | None
    tail: bool
    note: Callable[[str], None]
    """Says to the person what they should know."""
    sink: Sink
    """Gets the log."""


def run(order: Order, event: bytes) -> Outcome:
    """A fresh environment, one invocation.

    Raises:
        CommandFailed, InvalidCode: there was none, and why.
    """
    if not Path(_LINUX).exists():
        raise CommandFailed(
            ExitCode.NOT_READY, "a local run needs Linux: elsewhere use a virtual machine or a container"
        )
    manifest = manifests.read(order.file, order.function)
    source = sources.choose(manifest, order.code)
    extra = variables.given(order.env, order.env_file, manifest.name)
    with _folder() as own:
        place = _place(order, source, own)
        launch = runtimes.launch(manifest.text("runtime"), place)
        for note in (source.note, launch.note):
            if note:
                order.note(note)
        settings = {
            **launch.settings,
            "LAMBENT_TASK_ROOT": str(place.task_root),
            "LAMBENT_OPT_ROOT": str(place.opt_root),
        }
        agent = Agent(settings, order.sink)
        try:
            spec = manifests.judge(manifest, extra)  # meanwhile the agent starts
            environment = {"TMPDIR": str(own / "tmp"), **launch.variables, **_stated(spec, extra)}
            return _invoke(agent, order, _claim(manifest, spec, environment, packed=source.folder is None), event)
        finally:
            agent.end()


def _invoke(agent: Agent, order: Order, claim: Claim, event: bytes) -> Outcome:
    """As a gateway does: an init that failed is repeated within the invocation."""
    timeout_ms = claim.timeoutMs if order.timeout is None else max(1, round(order.timeout * 1000))
    call = Call(str(uuid.uuid4()), event, timeout_ms, order.client_context, order.tail)
    with contextlib.closing(Door(agent.port(), agent.token)) as door:
        door.claim(claim)
        outcome = door.invoke(call)
        door.drain()
    agent.wait()
    return outcome


def _place(order: Order, source: sources.Source, own: Path) -> runtimes.Place:
    (own / "tmp").mkdir()
    (own / "task").mkdir()
    opt_root = sources.merge_layers(order.layers, own / "opt")
    return runtimes.Place(source.folder or own / "task", opt_root, own, bool(order.layers), order.interpreter)


def _stated(spec: FunctionSpec, extra: dict[str, str]) -> dict[str, str]:
    if spec.environment is None:
        return extra
    referred = [each.name for each in spec.environment.value_from]
    return variables.complete(spec.environment.variables, referred, extra)


def _claim(manifest: Manifest, spec: FunctionSpec, environment: dict[str, str], *, packed: bool) -> Claim:
    """What a gateway would say of the function, without an account."""
    from lambent.core.packaging import package
    from lambent.model.arns import function_arn

    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    code = package(spec.code, spec.runtime or "") if packed else None
    return Claim(
        claimId=str(uuid.uuid4()),
        arn=function_arn(region, ACCOUNT, manifest.name),
        functionName=manifest.name,
        version="$LATEST",
        revision="0" * 16,
        runtime=spec.runtime or "",
        handler=spec.handler or "",
        timeoutMs=spec.timeout * 1000,
        memoryMb=spec.memory_size,
        env=environment,
        code=None if code is None else Code(code.sha256_hex, code.size, inline=bytes(code.data)),
        logging=_shown(spec.logging_config, _LOG_FIELDS),
        tracing=_shown(spec.tracing_config, {"mode"}),
        region=region,
        accountId=ACCOUNT,
    )


def _shown(model: Any, fields: set[str]) -> dict[str, Any]:
    """As in the manifest; nothing where there is none."""
    if model is None:
        return {}
    shown: dict[str, Any] = model.model_dump(by_alias=True, exclude_none=True, include=fields)
    return shown


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Removed with everything in it, also what the agent has made read-only."""
    own = Path(tempfile.mkdtemp(prefix="lambent-"))
    try:
        yield own
    finally:
        for folder, _, _ in os.walk(own):
            with contextlib.suppress(OSError):
                Path(folder).chmod(stat.S_IRWXU)
        shutil.rmtree(own, ignore_errors=True)
