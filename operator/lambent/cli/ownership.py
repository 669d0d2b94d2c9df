"""Who else writes the specification of an object: what was set by hand there, the next sync takes back. Pure."""

from __future__ import annotations

from .objects import Body

_MANAGERS = {
    "argocd-controller": "Argo CD",
    "argocd-application-controller": "Argo CD",
    "kustomize-controller": "Flux",
    "helm-controller": "Flux",
    "flux": "Flux",
    "helm": "Helm",
    "kubectl-client-side-apply": "kubectl apply",
}
_LABELS = {
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
    "argocd.argoproj.io/instance": "Argo CD",
}
"""What Flux and Argo CD put on what they own; Argo CD's tracking by annotation is the annotation below."""
_ANNOTATIONS = {"argocd.argoproj.io/tracking-id": "Argo CD"}


def other_owner(body: Body) -> str | None:
    """Argo CD, Flux, Helm or `kubectl apply`, whichever owns fields of the specification; None without any."""
    metadata = body["metadata"]
    for entry in metadata.get("managedFields") or ():
        if "f:spec" not in (entry.get("fieldsV1") or {}):
            continue
        manager = str(entry.get("manager"))
        if manager in _MANAGERS:
            return _MANAGERS[manager]
        if manager == "kubectl" and entry.get("operation") == "Apply":
            return "kubectl apply --server-side"
    for marks, place in ((_LABELS, "labels"), (_ANNOTATIONS, "annotations")):
        for mark, owner in marks.items():
            if mark in (metadata.get(place) or {}):
                return owner
    return None
