"""The resources that Lambent touches and the paths they live under."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from lambent.model import names

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the API server: where it is served and whether its objects live in namespaces."""

    group: str
    """Empty for the core group."""
    version: str
    plural: str
    namespaced: bool = True
    partial: bool = False
    """Lists and watches bring metadata only: what stands in the objects never reaches this process."""

    @property
    def prefix(self) -> str:
        """`/api/v1` or `/apis/<group>/<version>`."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def accept(self, *, listing: bool) -> str:
        """What to ask for. No second choice beside metadata: a server that cannot would send the whole objects."""
        if not self.partial:
            return JSON
        kind = "PartialObjectMetadataList" if listing else "PartialObjectMetadata"
        return f"{JSON};as={kind};g=meta.k8s.io;v=v1"

    def collection(self, namespace: str | None = None) -> str:
        """Path of all objects, or of those in one namespace."""
        if namespace is None or not self.namespaced:
            return f"{self.prefix}/{self.plural}"
        return f"{self.prefix}/namespaces/{quote(namespace, safe='')}/{self.plural}"

    def item(self, namespace: str | None, name: str) -> str:
        """Path of one object. A namespaced resource needs its namespace."""
        if self.namespaced and not namespace:
            raise ValueError(f"{self.plural} live in namespaces")
        return f"{self.collection(namespace)}/{quote(name, safe='')}"


FUNCTIONS = Resource(names.GROUP, names.VERSION, "functions")
VERSIONS = Resource(names.GROUP, names.VERSION, "versions")
ALIASES = Resource(names.GROUP, names.VERSION, "aliases")
LAYERS = Resource(names.GROUP, names.VERSION, "layers")
LAYER_VERSIONS = Resource(names.GROUP, names.VERSION, "layerversions")
PODS = Resource("", "v1", "pods")
NAMESPACES = Resource("", "v1", "namespaces", namespaced=False)
SECRETS = Resource("", "v1", "secrets")
CONFIG_MAPS = Resource("", "v1", "configmaps")
SECRETS_METADATA = Resource("", "v1", "secrets", partial=True)
CONFIG_MAPS_METADATA = Resource("", "v1", "configmaps", partial=True)
CLAIMS_METADATA = Resource("", "v1", "persistentvolumeclaims", partial=True)
NETWORK_POLICIES = Resource("networking.k8s.io", "v1", "networkpolicies")
EVENTS = Resource("events.k8s.io", "v1", "events")
ENDPOINT_SLICES = Resource("discovery.k8s.io", "v1", "endpointslices")
TOKEN_REVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews", namespaced=False)
SUBJECT_ACCESS_REVIEWS = Resource("authorization.k8s.io", "v1", "subjectaccessreviews", namespaced=False)
