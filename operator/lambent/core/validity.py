"""Can this specification ever work here? What admission cannot see, and once more what it can, in Lambda's words.

Admission (the CEL rules of the kind) answers first; these answers are for what depends on the installation, and for
objects that were stored before a rule existed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import date

from lambent.core.readiness import Problem
from lambent.model import environment_variables as variables_rules
from lambent.model import limits, runtimes
from lambent.model.conditions import Reason
from lambent.model.functions import FunctionConfiguration, FunctionObject

MANDATORY = "Runtime and Handler are mandatory parameters for functions created with deployment packages."
NO_IMAGES = "packageType Image is not offered by this installation: its chart value `agent.image` is empty."
IMAGE_WITHOUT_URI = "Please provide ImageUri when creating a function with packageType Image."


def find_problem(
    function: FunctionObject, installed: Iterable[str], agent_image: str, older: str | None, today: date
) -> Problem | None:
    """What only a person can change about this function, or None. `older` is another object with its name."""
    if older is not None:
        return Problem(
            Reason.DUPLICATE_FUNCTION_NAME,
            f"Function already exist: {function.function_name} (it is the older object {older} in this namespace)",
        )
    if function.spec.package_type == "Image" and function.spec.code.image_uri is None:
        return Problem(Reason.INVALID_SPEC, IMAGE_WITHOUT_URI)
    exists = function.status.revision is not None
    return find_obstacle(function.spec, installed, agent_image, today, exists=exists)


def find_obstacle(
    spec: FunctionConfiguration, installed: Iterable[str], agent_image: str, today: date, *, exists: bool
) -> Problem | None:
    """Why a configuration cannot be run by this installation, or None; `exists` when it could be once."""
    if spec.package_type == "Image":
        return _environment_problem(spec) if agent_image else Problem(Reason.INVALID_IMAGE, NO_IMAGES)
    if not spec.runtime or not spec.handler:
        return Problem(Reason.INVALID_SPEC, MANDATORY)
    if spec.runtime not in installed:
        return _runtime_problem(spec.runtime, sorted(installed), today, exists=exists)
    return _environment_problem(spec)


def _runtime_problem(runtime: str, installed: list[str], today: date, *, exists: bool) -> Problem:
    """Of a runtime without an image. One that has an image runs, whatever Lambda's calendar says of it."""
    known = runtimes.CATALOGUE.get(runtime)
    if known is not None and known.blocked(today, exists=exists):
        return Problem(Reason.RUNTIME_DEPRECATED, runtimes.UNSUPPORTED.format(runtime=runtime))
    return Problem(
        Reason.RUNTIME_NOT_INSTALLED, runtimes.NOT_A_MEMBER.format(runtime=runtime, members=", ".join(installed))
    )


def _environment_problem(spec: FunctionConfiguration) -> Problem | None:
    variables = spec.environment.variables if spec.environment else {}
    if not variables:
        return None
    if not all(re.fullmatch(variables_rules.NAME_PATTERN, name) for name in variables):
        return Problem(Reason.INVALID_SPEC, variables_rules.NAME_REFUSED)
    reserved = [name for name in variables_rules.RESERVED_NAMES if name in variables]
    if reserved:
        return Problem(Reason.INVALID_SPEC, variables_rules.RESERVED_REFUSED + ", ".join(reserved))
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    size = len(measured.encode("utf-8", "surrogatepass"))
    if size > limits.ENVIRONMENT_BYTES_MAX:
        # Lambda prints the values here; a status is no place for what may be secrets
        return Problem(Reason.INVALID_SPEC, f"{variables_rules.SIZE_REFUSED} String measured: {size} bytes of JSON")
    return None
