"""The command line: `up`, `down`, `status`, `kubectl`, `helm`, `load`, `build-images`.

Results go to stdout (JSON where a program reads them), everything else to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from . import (
    archives,
    binaries,
    building,
    choosing,
    debian,
    kind,
    node,
    reporting,
    state,
    talking,
    tearing_down,
)
from .state import State


def main(arguments: Sequence[str]) -> int:
    """Run one command; a failure is one message on stderr and exit status 1."""
    here = state.find(os.environ)
    try:
        if arguments[:1] in (["kubectl"], ["helm"]):  # their arguments are not ours to parse
            return execute(here, arguments[0], list(arguments[1:]))
        return command(here, parser().parse_args(arguments))
    except talking.Failed as failed:
        talking.say(str(failed))
        return 1
    except KeyboardInterrupt:
        talking.say("interrupted; `up` goes on from here, `down` undoes it")
        return 130
    except subprocess.TimeoutExpired as late:
        talking.say(f"{late.cmd[0]} did not answer within {late.timeout:.0f} s")
        return 1


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python3 tests/cluster/local", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    for name, says in {
        "up": "get a cluster and print how to reach it as one line of JSON",
        "down": "stop what `up` started and undo what it left",
        "status": "what runs, since when, how large",
        "load": "bring docker archives into the cluster",
        "build-images": "build Lambent's images, load them, print name → tag as JSON",
        "kubectl": "kubectl with the cluster's kubeconfig",
        "helm": "helm with the cluster's kubeconfig",
    }.items():
        one = commands.add_parser(name, help=says)
        one.add_argument("--verbose", action="store_true", help="show the output of the programs that are run")
        if name == "load":
            one.add_argument("archives", nargs="+", type=Path, metavar="IMAGE_TAR")
        if name == "build-images":
            one.add_argument("names", nargs="*", metavar="NAME", help="default: all")
            one.add_argument("--no-load", action="store_true", help="build only, for a machine without a cluster")
    return top


def command(here: State, parsed: argparse.Namespace) -> int:
    """Do what was asked."""
    if parsed.verbose:
        talking.be_verbose()
    choice = chosen(here)
    if parsed.command == "status":
        print(reporting.status(here, choice))
    elif parsed.command == "up":
        print(json.dumps(up(here, choice)))
    elif parsed.command == "down":
        with state.locked(here, "node"):
            down(here, choice)
    elif parsed.command == "load":
        for archive in parsed.archives:
            load(here, choice, archive)
    elif parsed.command == "build-images":
        with state.locked(here, "images"):
            print(json.dumps(build_images(here, choice, parsed.names, not parsed.no_load)))
    return 0


def chosen(here: State) -> choosing.Choice:
    """Which cluster this environment means."""
    return choosing.choose(os.environ, str(here.kubeconfig), choosing.docker_answers, choosing.has_kind)


def up(here: State, choice: choosing.Choice) -> dict[str, str]:
    """Get the cluster; returns how to reach it."""
    if choice.kind == "node":
        tools = node.up(here)
        reach = (str(here.kubeconfig), tools.kubectl, tools.helm)
    else:
        kubeconfig = choice.kubeconfig if choice.kind == "given" else str(kind.up(here))
        reach = (kubeconfig, client(here, "kubectl"), client(here, "helm"))
    names = ("kind", "kubeconfig", "kubectl", "helm", "state")
    return dict(zip(names, (choice.kind, *reach, str(here.root)), strict=True))


def client(here: State, program: str) -> str:
    """kubectl or helm for a cluster that is not our node: the user's own, else what was built here once."""
    built = binaries.locate(here).folder / program
    if found := shutil.which(program) or (str(built) if built.exists() else None):
        return found
    raise talking.Failed(f"{program} is not on the PATH")


def down(here: State, choice: choosing.Choice) -> None:
    """Stop what this program started; a given cluster is not ours to stop."""
    if choice.kind == "given":
        talking.say("the cluster was given, so it stays")
    elif choice.kind == "kind":
        kind.down(here)
    else:
        tearing_down.down(here)


def execute(here: State, program: str, arguments: list[str]) -> int:
    """Become kubectl or helm."""
    choice = chosen(here)
    if choice.kind == "node":
        if (tools := binaries.remembered(here)) is None:
            raise talking.Failed("no node runs: `up` first")
        path = str(tools.folder / program)
        kubeconfig = str(here.kubeconfig)
    else:
        path = client(here, program)
        kubeconfig = choice.kubeconfig if choice.kind == "given" else str(here.root / "kind.kubeconfig")
    sys.stdout.flush()
    os.execve(path, [program, *arguments], {**os.environ, "KUBECONFIG": kubeconfig})


def load(here: State, choice: choosing.Choice, archive: Path) -> None:
    """Bring one docker archive into the cluster."""
    if choice.kind == "given":
        raise talking.Failed(
            "a given cluster pulls its images itself: push them to a registry that it reaches, and name them by it"
        )
    with talking.step(f"loading {archive.name}"):
        if choice.kind == "kind":
            kind.load(here, archive)
        else:
            archives.load(here, archive)


def build_images(here: State, choice: choosing.Choice, names: list[str], into_cluster: bool) -> dict[str, str]:
    """Build what changed, load what the cluster lacks; returns name → tag."""
    with_docker = choosing.docker_answers()
    if not with_docker:
        debian.install(debian.IMAGES, here)
    built = building.build(here, names, with_docker)
    if into_cluster and choice.kind != "given":
        present = archives.names(here) if choice.kind == "node" else set()
        for image in built:
            if image.tag not in present:
                load(here, choice, image.archive)
    return {image.name: image.tag for image in built}
