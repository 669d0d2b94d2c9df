"""Appends to the agent's program the modules that it imports: run by the very interpreter that will import them.

    workshop bundle.py FOLDER PROGRAM       FOLDER holds the package `lambent`

What is imported here is what is imported there, because interpreter and modules of C code are the same. Byte code
only, unchecked: nothing is compared or written when it is loaded. Stored, not deflated: it is read at every start.
"""

import importlib
import importlib._bootstrap_external as loading
import io
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

ENTRIES = (
    "lambent.agent.__main__",
    "lambent.agent.running",
    "runpy",  # `-m`
    "encodings.ascii",
    "encodings.latin_1",
    "encodings.utf_8",
    "traceback",  # a fault of ours must be readable
)
WHEN = (1980, 1, 1, 0, 0, 0)


def main() -> None:
    """Makes the bundle."""
    folder, program = map(Path, sys.argv[1:])
    sys.path.insert(0, str(folder))
    sys.modules["ssl"] = None  # type: ignore[assignment]  # as the agent does
    for name in (*ENTRIES, *agent_modules(folder)):
        importlib.import_module(name)
    # Sorted, and with one time for all: the same sources give the same bytes.
    sources = {name: source for name, module in sys.modules.items() if (source := source_of(module))}
    with program.open("r+b") as target:
        target.seek(0, io.SEEK_END)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for name, source in sorted(sources.items()):
                archive.writestr(zipfile.ZipInfo(entry_of(name, source), WHEN), byte_code(name, source))
    print(f"{program}: {program.stat().st_size} bytes, {len(sources)} modules")


def agent_modules(folder: Path) -> Iterator[str]:
    """Every module of the agent but the one that fetches code: a container image brings its own."""
    for file in folder.glob("lambent/agent/**/*.py"):
        if file.name not in ("fetching.py", "__init__.py"):
            yield ".".join(file.relative_to(folder).with_suffix("").parts)


def source_of(module: ModuleType) -> Path | None:
    """Path of a module's source; None for modules of C code and for those frozen into the interpreter."""
    spec = getattr(module, "__spec__", None)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def entry_of(name: str, source: Path) -> str:
    """The module's place in the archive."""
    inner = name.replace(".", "/")
    return f"{inner}/__init__.pyc" if source.name == "__init__.py" else f"{inner}.pyc"


def byte_code(name: str, source: Path) -> bytes:
    """As a .pyc file, unchecked."""
    # The library's docstrings go; of our own the dataclasses' are needed (without one a signature is made up).
    level = 0 if name.startswith("lambent") else 2
    inner = f"{name.replace('.', '/')}.py"
    code = compile(source.read_bytes(), inner, "exec", dont_inherit=True, optimize=level)
    # There is no public way to it that does not also write a file.
    return bytes(loading._code_to_hash_pyc(code, bytes(8), checked=False))  # noqa: SLF001


main()
