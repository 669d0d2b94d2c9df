"""Where Lambent is installed: the gateway's Service, its pods, its Deployments, by their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from lambent.model import names
from lambent.model.errors import Refused

from .clusters import Cluster, path_of
from .outcomes import CommandFailed, ExitCode

ROLE_LABEL = f"{names.GROUP}/role"
_PUBLIC_PORT = "http"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which release a person means; None: the only one there is."""

    namespace: str | None = None
    release: str | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """One installation, and the Service of its gateways."""

    name: str
    namespace: str
    service: str

    @property
    def proxy_path(self) -> str:
        """Path under which the API server passes requests on to the gateway."""
        return path_of("services", self.namespace, f"{self.service}:{_PUBLIC_PORT}").replace("%3A", ":") + "/proxy"


def selector(component: str | None = None, release: str | None = None) -> str:
    """Labels of a release's objects."""
    parts = [f"{names.LABEL_NAME}={names.MANAGED_BY}"]
    parts += [f"{names.LABEL_COMPONENT}={component}"] if component else []
    parts += [f"{names.LABEL_INSTANCE}={release}"] if release else []
    return ",".join(parts)


def find(cluster: Cluster, wanted: Wanted) -> list[Release]:
    """Every release that fits.

    Raises:
        CommandFailed: there is none, or we may not look.
    """
    path = path_of("services", wanted.namespace)
    try:
        services = cluster.objects(path, selector("gateway", wanted.release))
    except Refused as error:
        if error.status != 403:
            raise
        where = f"in the namespace {wanted.namespace}" if wanted.namespace else "in all namespaces"
        raise CommandFailed(
            ExitCode.DENIED,
            f"you may not look for Lambent's gateway {where}: {error}",
            "say where it is with --system-namespace, or give its address with --endpoint-url",
        ) from error
    found = [_release(each["metadata"]) for each in services if _is_public(each)]
    if not found:
        raise CommandFailed(
            ExitCode.NOT_FOUND,
            f"no gateway of Lambent {_where(wanted)}",
            "is the chart installed on this cluster (--context)? or give the gateway's address with --endpoint-url",
        )
    return sorted(found, key=lambda release: (release.namespace, release.name))


def choose(cluster: Cluster, wanted: Wanted) -> Release:
    """The release that is meant.

    Raises:
        CommandFailed: there is none, there are several, or we may not look.
    """
    found = find(cluster, wanted)
    if len(found) > 1:
        listed = ", ".join(f"{each.name} in {each.namespace}" for each in found)
        raise CommandFailed(
            ExitCode.USAGE,
            f"several releases of Lambent are on this cluster: {listed}",
            "say which one with --system-namespace (or --release)",
        )
    return found[0]


def pod_metrics_path(namespace: str, pod: str, port: int) -> str:
    """Path under which the API server passes on a pod's metrics."""
    return f"{path_of('pods', namespace)}/{quote(pod, safe='')}:{port}/proxy/metrics"


def _is_public(service: dict[str, Any]) -> bool:
    ports = (service.get("spec") or {}).get("ports") or []
    return any(port.get("name") == _PUBLIC_PORT for port in ports)


def _release(metadata: dict[str, Any]) -> Release:
    labels = metadata.get("labels") or {}
    return Release(str(labels.get(names.LABEL_INSTANCE, metadata["name"])), metadata["namespace"], metadata["name"])


def _where(wanted: Wanted) -> str:
    where = f"in the namespace {wanted.namespace}" if wanted.namespace else "on this cluster"
    return f"{where} of the release {wanted.release}" if wanted.release else where
