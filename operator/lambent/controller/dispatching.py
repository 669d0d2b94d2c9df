"""Who works on which object: one queue has the uids of all kinds, another the names of functions to be published."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass

from lambent.controller.alias_reconciling import AliasReconciler
from lambent.controller.layer_reconciling import LayerReconciler
from lambent.controller.publishing import Publisher
from lambent.controller.reconciling import Reconciler
from lambent.controller.store import Store
from lambent.controller.version_reconciling import VersionReconciler


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """The reconcilers of all kinds."""

    store: Store
    functions: Reconciler
    versions: VersionReconciler
    aliases: AliasReconciler
    layers: LayerReconciler
    publisher: Publisher

    def work_on(self, uid: str) -> Awaitable[float | None]:
        """Work on an object; in how many seconds to do so again. What no other book knows is, or was, a Function."""
        if self.store.layers.has_known(uid):
            return self.layers.reconcile(uid)
        if self.store.aliases.has_known(uid):
            return self.aliases.reconcile(uid)
        if self.store.versions.has_known(uid):
            return self.versions.reconcile(uid)
        return self.functions.reconcile(uid)

    def has_judged(self, uid: str) -> bool:
        """Whether an object that has or needs code was worked on before."""
        return any(each.has_judged(uid) for each in (self.functions, self.versions, self.layers))

    async def close(self) -> None:
        """End what was begun."""
        for each in (self.functions, self.versions, self.aliases, self.layers):
            await each.close()
