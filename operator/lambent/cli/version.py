"""`lambent version`: of this program, of the cluster, and of what is installed on it."""

from __future__ import annotations

from typing import Any

import click

from lambent.model import names
from lambent.model.errors import Refused, Unavailable

from . import flags, printing, releases
from .clusters import Cluster, path_of
from .outcomes import CommandFailed, ExitCode, failure_of

CLIENT_VERSION = "0.1.0"
"""As in pyproject.toml, which is not there where a container image holds the package only; a test keeps them equal."""

_EPILOG = """\b
Examples:
  lambent version
  lambent version --client
  lambent version --output json"""


@click.command(epilog=_EPILOG)
@click.option("--client", is_flag=True, help="Of this program only: no cluster is asked.")
@flags.output("json", "yaml")
@flags.of_release
@flags.in_cluster
def version(session: flags.Session, wanted: releases.Wanted, form: str | None, *, client: bool) -> int:
    """Print the versions of this program, of Kubernetes, and of every process of Lambent that is installed."""
    facts: dict[str, Any] = {"clientVersion": CLIENT_VERSION}
    failed: CommandFailed | None = None
    if not client:
        try:
            facts |= _installed(session.cluster, wanted)
        except CommandFailed as error:
            failed = error
        except (Refused, Unavailable) as error:
            failed = failure_of(error)
    click.echo(printing.document(facts, form) if form else _text(facts), nl=False)
    if failed is not None:
        raise failed
    return ExitCode.OK


def _installed(cluster: Cluster, wanted: releases.Wanted) -> dict[str, Any]:
    kubernetes = str(cluster.get("/version").get("gitVersion", "unknown"))
    path = path_of("deployments", wanted.namespace, group="/apis/apps/v1")
    processes = [_process(each) for each in cluster.objects(path, releases.selector(release=wanted.release))]
    return {"kubernetesVersion": kubernetes, "processes": processes}


def _process(deployment: dict[str, Any]) -> dict[str, Any]:
    metadata, status = deployment["metadata"], deployment.get("status") or {}
    labels = metadata.get("labels") or {}
    spec = deployment["spec"]
    return {
        "release": labels.get(names.LABEL_INSTANCE, ""),
        "namespace": metadata["namespace"],
        "process": labels.get(names.LABEL_COMPONENT, metadata["name"]),
        "version": labels.get("app.kubernetes.io/version", ""),
        "ready": f"{status.get('readyReplicas') or 0}/{spec.get('replicas', 1)}",
        "image": spec["template"]["spec"]["containers"][0]["image"],
    }


def _text(facts: dict[str, Any]) -> str:
    lines = [f"Client version: {facts['clientVersion']}"]
    if "kubernetesVersion" in facts:
        lines.append(f"Kubernetes version: {facts['kubernetesVersion']}")
        processes = facts["processes"]
        if not processes:
            lines.append("Lambent is not installed, or you may not see it")
    text = "\n".join(lines) + "\n"
    if facts.get("processes"):
        rows = [list(map(str, process.values())) for process in facts["processes"]]
        text += "\n" + printing.table([name.upper() for name in facts["processes"][0]], rows)
    return text
