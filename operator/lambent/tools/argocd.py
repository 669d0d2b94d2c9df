"""`python -m lambent.tools.argocd`: write the patch that gives Argo CD its health checks and actions of our kinds.

The scripts stand under `examples/gitops/argocd`, one a file, as Argo CD's own repository lays them out; the patch puts
them into the ConfigMap argocd-cm. `--check` writes nothing and fails where it differs.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

from lambent.model import names

from .generated_files import REPOSITORY, settle

FOLDER = REPOSITORY / "examples" / "gitops" / "argocd"
PATCH = FOLDER / "argocd-cm-patch.yaml"
_HEAD = """\
# Written by `make generate` from the scripts beside it. Into an Argo CD that is there:
#   kubectl patch configmap argocd-cm -n argocd --patch-file argocd-cm-patch.yaml
# With Argo CD's Helm chart, what stands under data belongs under configs.cm.
data:
"""


def patches() -> dict[Path, str]:
    """The patch as it shall be."""
    entries = [*_health_checks(), *_actions()]
    return {PATCH: _HEAD + "".join(_literal(f"  {key}", text) for key, text in entries)}


def _health_checks() -> Iterator[tuple[str, str]]:
    for script in sorted(FOLDER.glob("health/*/health.lua")):
        yield f"resource.customizations.health.{names.GROUP}_{script.parent.name}", script.read_text()


def _actions() -> Iterator[tuple[str, str]]:
    for discovery in sorted(FOLDER.glob("actions/*/discovery.lua")):
        kind = discovery.parent
        told = _literal("discovery.lua", discovery.read_text()) + "definitions:\n"
        for script in sorted(kind.glob("*/action.lua")):
            told += f"- name: {script.parent.name}\n" + _literal("  action.lua", script.read_text())
        yield f"resource.customizations.actions.{names.GROUP}_{kind.name}", told


def _literal(key: str, text: str) -> str:
    """A key of YAML with a literal block; `key` brings its own indentation."""
    margin = " " * (len(key) - len(key.lstrip()) + 2)
    return f"{key}: |\n{textwrap.indent(text, margin)}"


def main() -> int:
    """Write the patch, or with `--check` say that it differs."""
    parser = argparse.ArgumentParser(prog="python -m lambent.tools.argocd", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the patch differs")
    return settle(patches(), check=parser.parse_args().check)


if __name__ == "__main__":
    sys.exit(main())
