"""Who somebody is, as the API server says: what TokenReview answers and SubjectAccessReview is asked with."""

from __future__ import annotations

from dataclasses import dataclass, field

_SERVICE_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Identity:
    """A user of the cluster. Every part may decide what it is allowed to do."""

    user: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: dict[str, list[str]] = field(default_factory=dict, hash=False)

    @property
    def namespace(self) -> str | None:
        """The namespace of a service account (`system:serviceaccount:<namespace>:<name>`); None for other users."""
        namespace, colon, name = self.user.removeprefix(_SERVICE_ACCOUNT).partition(":")
        return namespace if self.user.startswith(_SERVICE_ACCOUNT) and colon and namespace and name else None
