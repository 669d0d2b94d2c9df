"""Which Function a file holds, and whether it may be: first a glance, then the model's judgement in the model's words.

The glance is enough to start an agent; `judge` imports the model, which takes as long as the agent takes to start.
What admission decides by CEL is decided here as far as the model or `core.validity` say it too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from lambent.cli.outcomes import CommandFailed, ExitCode

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    from lambent.model.functions import FunctionSpec

_GROUP = "lambent.dev/"


@dataclass(frozen=True, slots=True)
class Manifest:
    """One Function of a file, as it stands there."""

    path: Path
    body: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Lambda's name of it."""
        metadata = self.body.get("metadata")
        own = metadata.get("name") if isinstance(metadata, dict) else None
        return str(self.spec.get("functionName") or own or "")

    @property
    def spec(self) -> Mapping[str, Any]:
        """As written; empty where there is none."""
        spec = self.body.get("spec")
        return spec if isinstance(spec, dict) else {}

    @property
    def code(self) -> Mapping[str, Any]:
        """`spec.code`; empty where there is none."""
        code = self.spec.get("code")
        return code if isinstance(code, dict) else {}

    def text(self, field: str) -> str:
        """A field of the specification that should be text; empty where it is not."""
        value = self.spec.get(field)
        return value if isinstance(value, str) else ""

    def unfit(self, problem: str) -> CommandFailed:
        """What is wrong with it, for people."""
        what = self.name or "the document"
        return CommandFailed(ExitCode.USAGE, f"{what} in {self.path} cannot be a Function: {problem}")


def read(path: Path, name: str | None) -> Manifest:
    """The Function of this name, by default the only one.

    Raises:
        CommandFailed: there is no such file, no YAML, no such Function, or there are several.
    """
    found = read_all(path)
    chosen = [each for each in found if name is None or each.name == name]
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(each.name for each in found)
    if not found:
        raise CommandFailed(ExitCode.NOT_FOUND, f"{path} holds no Function (apiVersion {_GROUP}…, kind Function)")
    if not chosen:
        raise CommandFailed(ExitCode.NOT_FOUND, f"{path} holds no Function {name}: there are {names}")
    raise CommandFailed(ExitCode.USAGE, f"{path} holds several Functions: choose by --function", f"there are {names}")


def read_all(path: Path) -> list[Manifest]:
    """Every Function of a file, in its order. Raises CommandFailed."""
    import yaml

    try:
        documents = list(yaml.safe_load_all(path.read_text("utf-8")))
    except OSError as error:
        raise CommandFailed(ExitCode.USAGE, f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CommandFailed(ExitCode.USAGE, f"{path} is not YAML: {error}") from error
    return [Manifest(path, body) for body in documents if isinstance(body, dict) and _is_function(body)]


def _is_function(body: Mapping[str, Any]) -> bool:
    return body.get("kind") == "Function" and str(body.get("apiVersion", "")).startswith(_GROUP)


def judge(manifest: Manifest, extra: Iterable[str]) -> FunctionSpec:
    """The specification, with what admission and controller would say of it; `extra` are further variables' names.

    Raises:
        CommandFailed: it is not one, in their words.
    """
    from pydantic import ValidationError

    from lambent.core.validity import find_problem
    from lambent.model import runtimes
    from lambent.model.functions import Function, FunctionObject

    for path in unknown_fields(Function, manifest.body, ""):
        raise manifest.unfit(f'strict decoding error: unknown field "{path}"')
    metadata = {"name": manifest.name, "namespace": "local", "uid": "local"}
    try:
        function = FunctionObject.from_kubernetes({"metadata": metadata, "spec": dict(manifest.spec)})
    except ValidationError as error:
        raise manifest.unfit("; ".join(_worded(each) for each in error.errors())) from error
    known = {*runtimes.CATALOGUE, *_of_a_family(manifest.text("runtime"))}
    problem = find_problem(function, known, "any", None, datetime.now(UTC).date())
    said = problem.message if problem is not None else _of_the_code(manifest) or _of_variables(extra)
    if said:
        raise manifest.unfit(said)
    return function.spec


def _of_a_family(runtime: str) -> list[str]:
    """A catalogue says what clusters may offer; here the interpreter at hand is taken, as new or old as it is."""
    return [runtime] if re.fullmatch(r"(python3\.|nodejs|provided)[a-z0-9.]*", runtime) else []


def _of_the_code(manifest: Manifest) -> str | None:
    from lambent.model.codes import SOURCES, Code
    from lambent.model.functions import FunctionSpec

    given = [source for source in SOURCES if source in manifest.code]
    if len(given) != 1:
        return Code.rules[min(len(given), 1)].message
    if given == ["inline"] and not manifest.text("handler").startswith("index."):
        return next(rule.message for rule in FunctionSpec.rules if rule.field_path == ".handler")
    return None


def _of_variables(names: Iterable[str]) -> str | None:
    from lambent.model import environment_variables as rules

    listed = list(names)
    if not all(re.fullmatch(rules.NAME_PATTERN, name) for name in listed):
        return rules.NAME_REFUSED
    reserved = [name for name in listed if name in rules.RESERVED_NAMES]
    return rules.RESERVED_REFUSED + ", ".join(reserved) if reserved else None


def _worded(error: ErrorDetails) -> str:
    """As the API server says it, where the model has words for it, else as pydantic does."""
    from lambent.model.functions import FunctionSpec
    from lambent.model.schemas import Rule

    place = ".".join(str(part) for part in error["loc"])
    comparison = {"greater_than_equal": ">=", "less_than_equal": "<="}.get(error["type"])
    for name, field in FunctionSpec.model_fields.items():
        for rule in field.metadata:
            if place in (name, field.alias) and isinstance(rule, Rule) and f"self {comparison} " in rule.expression:
                return rule.message
    return f"spec.{place}: {error['msg']}"


def unknown_fields(model: type[BaseModel], body: Any, path: str) -> Iterator[str]:
    """Paths of what the model does not know: the API server refuses them from `kubectl apply`."""
    if isinstance(body, list):
        for number, each in enumerate(body):
            yield from unknown_fields(model, each, f"{path}[{number}]")
    if not isinstance(body, dict):
        return
    known = {field.alias or name: field for name, field in model.model_fields.items()}
    for key, value in body.items():
        place = f"{path}.{key}" if path else str(key)
        if key in known:
            inner = _model_in(known[key].annotation)
            if inner is not None:
                yield from unknown_fields(inner, value, place)
        elif path or key not in ("apiVersion", "kind", "metadata"):
            yield place


def _model_in(annotation: Any) -> type[BaseModel] | None:
    from pydantic import BaseModel

    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _model_in(each)) is not None), None)
