"""The catalogue of managed runtimes: Lambda's identifiers and what is true of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Runtime:
    """One runtime identifier of Lambda."""

    identifier: str
    family: str
    """`python`, `nodejs`, `provided` …: the folder under runtime-images/."""
    inline_file: str | None
    """File name that `code.inline` becomes, as CloudFormation's ZipFile does; None where Lambda has none."""


CATALOGUE: dict[str, Runtime] = {
    runtime.identifier: runtime
    for runtime in (
        Runtime("python3.10", "python", "index.py"),
        Runtime("python3.11", "python", "index.py"),
        Runtime("python3.12", "python", "index.py"),
        Runtime("python3.13", "python", "index.py"),
        Runtime("python3.14", "python", "index.py"),
        Runtime("nodejs20.x", "nodejs", "index.js"),
        Runtime("nodejs22.x", "nodejs", "index.js"),
        Runtime("nodejs24.x", "nodejs", "index.js"),
        Runtime("provided.al2", "provided", None),
        Runtime("provided.al2023", "provided", None),
    )
}
