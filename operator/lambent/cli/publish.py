"""`lambent publish`: a Version object is made, and its number printed when the controller has given it one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import click

from lambent.model import names
from lambent.model.errors import Refused, Unavailable

from . import flags, objects, observing, published, targets
from .clusters import Cluster, versions_path
from .completing import complete_functions
from .objects import Body
from .outcomes import CommandFailed, ExitCode

_EPILOG = """\b
Examples:
  lambent publish hello
  lambent publish hello --description "with the new prices"
  lambent alias set hello live "$(lambent publish hello)"
  lambent publish hello --revision-id 4f0c1d2e3a5b6978        # only what I have tested
  lambent publish hello --no-wait

The number is printed on standard output. Where code and configuration equal the latest published version, that one's
number is printed and nothing is published. The exit code is 1 when publishing was refused."""


@click.command(epilog=_EPILOG)
@click.argument("function", shell_complete=complete_functions)
@click.option("--description", metavar="TEXT", help="Description of the version; the function's own when not given.")
@click.option("--code-sha256", metavar="DIGEST", help="Publish only when the function's code has this SHA-256.")
@click.option("--revision-id", metavar="ID", help="Publish only when the function's status.revision is this.")
@click.option("--wait/--no-wait", default=True, show_default=True, help="Wait for the number, and print it.")
@click.option(
    "--timeout", type=flags.Duration(), default="5m", show_default=True, metavar="DURATION", help="How long to wait."
)
@flags.in_cluster
def publish(session: flags.Session, function: str, *, wait: bool, timeout: float, **words: str | None) -> int:
    """Publish a version of FUNCTION (also namespace/name or an ARN): a snapshot of its code and configuration.

    What was applied to the function before counts; its code is waited for. With --no-wait the name of the Version
    object is printed, and its number comes into its status.
    """
    cluster = session.cluster
    target = targets.find(session, (function,))
    made = cluster.call(
        "POST", versions_path(target.namespace), {"fieldManager": names.FIELD_MANAGER_CLI}, _body(target, words)
    )
    wanted = _Wanted(cluster, target, str(made["metadata"]["name"]))
    if not wait:
        click.echo(f"version.{names.GROUP}/{wanted.name}")
        return ExitCode.OK
    try:
        return _printed(wanted, wanted.outcome(timeout))
    except observing.TimeOver as error:
        message = f"the Version {wanted.name} got no number within {timeout:g} s{wanted.waits_for()}"
        raise CommandFailed(ExitCode.UNREACHABLE, message, wanted.stays()) from error
    except KeyboardInterrupt:
        click.echo(f"\ninterrupted; {wanted.stays()}", err=True)
        raise


def _body(target: targets.Target, words: dict[str, str | None]) -> dict[str, Any]:
    spec = {
        "functionName": target.name,
        "description": words["description"],
        "codeSha256": words["code_sha256"],
        "revisionId": words["revision_id"],
    }
    return {
        "apiVersion": names.API_VERSION,
        "kind": "Version",
        "metadata": {
            "generateName": f"{target.function['metadata']['name']}-",
            "labels": {names.LABEL_PUBLISHED_BY: names.PUBLISHED_BY_CLI},
        },
        "spec": {key: value for key, value in spec.items() if value is not None},
    }


@dataclass(slots=True)
class _Wanted:
    """The Version object that was made."""

    cluster: Cluster
    target: targets.Target
    name: str
    said: str = ""
    """What it waits for, as it was told last."""

    def outcome(self, timeout: float) -> Body:
        """The object when it has its number, or is refused.

        Raises:
            CommandFailed: somebody deleted it.
            observing.TimeOver: neither came in time.
        """
        for found in observing.states(self.cluster, versions_path(self.target.namespace), self.name, timeout):
            if found is None:
                raise CommandFailed(ExitCode.NOT_FOUND, f"somebody deleted the Version {self.name}")
            if published.number(found) or objects.is_true(found, "Stalled"):
                return found
            self._tell(objects.explained(objects.condition(found, "Ready")))
        raise AssertionError("unreachable")

    def remove(self) -> None:
        """Take the object away again; where that fails it is said, and nothing else is lost."""
        try:
            self.cluster.call("DELETE", versions_path(self.target.namespace, self.name))
        except (Refused, Unavailable) as error:
            if not (isinstance(error, Refused) and error.status == 404):
                click.echo(f"lambent: the Version {self.name} is left over: {error}", err=True)

    def waits_for(self) -> str:
        """For a message."""
        return f" ({self.said})" if self.said else ""

    def stays(self) -> str:
        """What becomes of it, and how it is taken back."""
        command = f"kubectl{self.target.flag} delete versions.{names.GROUP} {self.name}"
        return f"the Version {self.name} stays and is published when that is possible; to take it back: {command}"

    def _tell(self, said: str) -> None:
        if said and said != self.said:
            self.said = said
            click.echo(f"waiting: {said}", err=True)


def _printed(wanted: _Wanted, found: Body) -> int:
    number = published.number(found)
    if not number:
        wanted.remove()
        stalled = objects.condition(found, "Stalled")
        why = stalled if stalled.get("message") else objects.condition(found, "Ready")
        raise CommandFailed(ExitCode.FUNCTION_FAILED, f"not published: {objects.explained(why) or 'refused'}")
    if objects.is_true(found, "Duplicate"):
        wanted.remove()
        click.echo(f"nothing has changed since version {number} of {wanted.target.name}: none was published", err=True)
    click.echo(number)
    return ExitCode.OK
