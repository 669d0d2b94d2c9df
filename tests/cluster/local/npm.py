"""Node.js and AWS's runtime interface client for it, both from npm: its packages carry the binary and the sources.

The lock files stand beside the image that they are for. The client's native part compiles for one to two minutes, and
node-gyp finds Node's headers in the package of the binary. It speaks Node-API, so one build serves several majors: the
client of Node.js 22 is the last that takes handlers with a callback, as Lambda's nodejs22.x does.
"""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from . import debian, digests, trees
from .state import State
from .talking import Failed, run

IMAGE = Path("runtime-images/nodejs")
COMPILER_MAJOR = 22  # whose headers the clients are compiled with, and who runs the compilation
ARCHITECTURES = {"x86_64": "x64", "aarch64": "arm64"}
# Not package.json: it would make a module of the bootstrap, which will lie beside these.
CLIENT_FILES = ("index.mjs", "rapid-client.node", "LICENSE", "NOTICE", "THIRD-PARTY-LICENSES")
TOOLS = ("npm", "g++", "make", "python3")  # what a machine has or has not
PACKAGES = {"autoconf": "autoreconf", "automake": "automake", "cmake": "cmake", "libtool": "libtoolize"}


def node(repository: Path, major: int, cache: Path) -> Path:
    """A folder with `bin/node` and `include/node` of the locked version of a major."""
    source = repository / IMAGE / f"node{major}"

    def make(draft: Path) -> None:
        install(source, draft, "--ignore-scripts")
        [package] = draft.glob(f"node_modules/node-linux-{architecture()}*")
        for name in ("bin", "include", "LICENSE"):
            (package / name).rename(draft / name)
        shutil.rmtree(draft / "node_modules")
        for name in ("package.json", "package-lock.json"):
            (draft / name).unlink()

    key = digests.key([platform.machine()], source, ["package.json", "package-lock.json"])
    return trees.made_once(cache / "npm", f"node{major}-{key}", f"Node.js {major} from npm", make)


def client(repository: Path, major: int, cache: Path) -> Path:
    """A folder with `index.mjs` of the client for a major, 22 or 24, and its compiled native part."""
    source = repository / IMAGE / f"client{major}"
    compiler = node(repository, COMPILER_MAJOR, cache)

    def make(draft: Path) -> None:
        if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
            raise Failed(f"compiling AWS's client for Node.js needs {', '.join(missing)}")
        debian.install(PACKAGES, State(cache))
        install(source, draft, node=compiler)
        package = draft / "node_modules/aws-lambda-ric"
        for name in CLIENT_FILES:  # older clients keep two of them in dist/
            [place] = [place for place in (package / name, package / "dist" / name) if place.exists()]
            place.rename(draft / name)
        shutil.rmtree(draft / "node_modules")
        (draft / "package.json").unlink()
        (draft / "package-lock.json").unlink()

    key = digests.key([platform.machine(), compiler.name, *CLIENT_FILES], source, ["package.json", "package-lock.json"])
    what = f"AWS's client for Node.js {major} (compiles for one to two minutes, once)"
    return trees.made_once(cache / "npm", f"client{major}-{key}", what, make)


def architecture() -> str:
    """As Node names it."""
    if (machine := platform.machine()) not in ARCHITECTURES:
        raise Failed(f"npm has no Node.js for {machine}")
    return ARCHITECTURES[machine]


def install(source: Path, folder: Path, *options: str, node: Path | None = None) -> None:
    """`npm ci` of a locked folder into an empty one; with `node`, packages compile for it and by it."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy2(source / name, folder / name)
    environment = dict(os.environ)
    if node is not None:
        environment |= {
            "PATH": f"{node}/bin:{environment['PATH']}",
            "npm_config_nodedir": str(node),
            "MAKEFLAGS": f"-j{os.cpu_count() or 1}",
        }
    command = ["npm", "ci", "--no-audit", "--no-fund", "--no-update-notifier", *options]
    run(command, folder.parent / "npm.log", cwd=folder, env=environment)
