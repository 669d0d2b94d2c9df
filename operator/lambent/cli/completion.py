"""`lambent completion`: scripts for shells, and kubectl's way to complete its plugins."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from .outcomes import ExitCode

_EPILOG = """\b
Examples:
  source <(lambent completion bash)                        # in ~/.bashrc
  source <(lambent completion zsh)                         # in ~/.zshrc, after compinit
  lambent completion fish > ~/.config/fish/completions/lambent.fish

`kubectl lambent` completes when a program of this name is on PATH (kubectl 1.26):

\b
  lambent completion kubectl > ~/bin/kubectl_complete-lambent
  chmod +x ~/bin/kubectl_complete-lambent"""

_KUBECTL = """#!/bin/sh
# kubectl asks this program to complete `kubectl lambent`.
exec {command} completion kubectl -- "$@"
"""
_NO_FILES = 4
"""kubectl's ShellCompDirectiveNoFileComp: it completes no file names of its own then."""


@click.command(epilog=_EPILOG)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish", "kubectl"]))
@click.argument("words", nargs=-1, metavar="", type=click.UNPROCESSED)
def completion(shell: str, words: tuple[str, ...]) -> int:
    """Print a script that teaches SHELL (bash, zsh, fish, kubectl) to complete commands, flags, functions, namespaces.

    Functions and namespaces are asked of the cluster in force; when it is silent, nothing is completed.
    """
    from click.shell_completion import get_completion_class

    from .commands import lambent
    from .entering import COMPLETION_VARIABLE

    if shell == "kubectl":
        click.echo(_for_kubectl(words) if words else _KUBECTL.format(command=_this_program()), nl=False)
        return ExitCode.OK
    taught = get_completion_class(shell)
    assert taught is not None
    script: Any = taught(lambent, {}, "lambent", COMPLETION_VARIABLE)
    click.echo(script.source())
    return ExitCode.OK


def _for_kubectl(words: tuple[str, ...]) -> str:
    """Candidates as kubectl reads them: one a line, help after a tab, a directive last. The last word is incomplete."""
    from click.shell_completion import ShellComplete

    from .commands import lambent
    from .entering import COMPLETION_VARIABLE

    *whole, incomplete = words
    found = ShellComplete(lambent, {}, "lambent", COMPLETION_VARIABLE).get_completions(list(whole), incomplete)
    plain = [item for item in found if item.type == "plain"]
    lines = [f"{item.value}\t{item.help}" if item.help else item.value for item in plain]
    files = any(item.type in ("file", "dir") for item in found)
    return "".join(f"{line}\n" for line in [*lines, f":{0 if files else _NO_FILES}"])


def _this_program() -> str:
    path = Path(sys.argv[0])
    if path.stem in ("lambent", "kubectl-lambent") and path.suffix != ".py":
        return shlex.quote(str(path.absolute())) if path.exists() else "lambent"
    return f"{shlex.quote(sys.executable)} -m lambent"
