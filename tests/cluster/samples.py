"""The sample images of users (examples/images), built once a session, and what each is started with."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from releases import LOCAL, run_text

STARTS = {
    "python": (["python3", "-m", "awslambdaric", "app.handler"], "/function"),
    "go": (["/bootstrap"], "/"),
    "shell": (["/function/bootstrap", "hello"], "/function"),
    "distroless": (["/usr/bin/python3", "-m", "awslambdaric", "app.handler"], "/function"),
    "aws-base": (["/lambda-entrypoint.sh", "app.handler"], "/var/task"),
}
"""ENTRYPOINT and CMD, WORKDIR: as the Dockerfiles say, for whoever does not ask a registry."""


@dataclass(frozen=True)
class Sample:
    """One built image."""

    tag: str
    archive: Path


def build(state: str) -> dict[str, Sample]:
    """All of them: kind → image. `state` as `up` printed it."""
    built = json.loads(run_text([*LOCAL, "build-images", "--no-load", *(f"sample-{kind}" for kind in STARTS)]))
    return {
        name.removeprefix("sample-"): Sample(tag, Path(state) / "images" / f"{name}-{tag.rpartition(':')[2]}.tar")
        for name, tag in built.items()
    }


def load(sample: Sample) -> str:
    """Into the cluster without a registry; its name there."""
    run_text([*LOCAL, "load", str(sample.archive)])
    return sample.tag
