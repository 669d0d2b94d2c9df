"""`python -m lambent.tools.spec_pages`: write the generated tables of the kinds' reference pages, `docs/spec/*.md`.

A page is written by hand; what stands between `<!-- generated: NAME -->` and `<!-- end -->` comes from the model.
`--check` writes nothing and fails where a page differs.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from .crds import KINDS, definition
from .generated_files import REPOSITORY, settle
from .schemas import Schema

PAGES = REPOSITORY / "docs" / "spec"
_BLOCK = re.compile(r"(?P<open><!-- generated: (?P<name>[a-z-]+) -->\n).*?(?P<close><!-- end -->)", re.DOTALL)


class UnknownTable(KeyError):
    """A page asks for a table that no kind has."""


def pages() -> dict[Path, str]:
    """Every page with its tables as they shall be."""
    generated: dict[Path, str] = {}
    for model in KINDS:
        document = definition(model)
        path = PAGES / f"{document['spec']['names']['singular']}.md"
        generated[path] = fill(path.read_text(), tables(document))
    return generated


def fill(page: str, known: dict[str, str]) -> str:
    """The page with every generated block replaced.

    Raises:
        UnknownTable: a block names no table.
    """

    def replaced(block: re.Match[str]) -> str:
        if block["name"] not in known:
            raise UnknownTable(block["name"])
        return f"{block['open']}\n{known[block['name']]}\n{block['close']}"

    return _BLOCK.sub(replaced, page)


def tables(document: dict[str, Any]) -> dict[str, str]:
    """Name → Markdown table of a kind."""
    version = document["spec"]["versions"][-1]
    root = version["schema"]["openAPIV3Schema"]
    parts = {part: root["properties"][part] for part in ("spec", "status") if part in root["properties"]}
    return {
        **{part: fields_table(schema, part) for part, schema in parts.items()},
        "refusals": refusals_table(root),
        "columns": columns_table(version["additionalPrinterColumns"]),
    }


def fields_table(schema: Schema, name: str) -> str:
    """One row a field: what it is, what it may be, what it is when it is not given."""
    rows = [
        (f"`{path}`", _type(field), _bounds(field, required=required), _prose(field.get("description", "")))
        for path, field, required in _fields(schema, name)
    ]
    return _table(("field", "type", "bounds, default", "meaning"), rows)


def refusals_table(root: Schema) -> str:
    """One row a CEL rule: where it stands and what the API server says; bounds are in the fields' table."""
    rows = []
    for path, node, _ in [("", root, False), *_fields(root, "")]:
        for rule in node.get("x-kubernetes-validations", []):
            field = f"{path}{rule.get('fieldPath', '')}".lstrip(".")
            rows.append((f"`{field}`", f"`{rule['message']}`"))
    return _table(("field", "message"), rows)


def columns_table(columns: list[dict[str, Any]]) -> str:
    """The columns of `kubectl get`; the wide ones show with `-o wide` only."""
    rows = [
        (column["name"], f"`{column['jsonPath']}`", "wide" if column.get("priority") else "always")
        for column in columns
    ]
    return _table(("column", "shows", "when"), rows)


def _fields(schema: Schema, path: str) -> Iterator[tuple[str, Schema, bool]]:
    for name, field in schema.get("properties", {}).items():
        where = f"{path}.{name}".lstrip(".")
        if name in ("apiVersion", "kind", "metadata") and not path:
            continue
        yield where, field, name in schema.get("required", ())
        yield from _fields(field, where)
        if "items" in field:
            yield from _fields(field["items"], f"{where}[]")


def _type(field: Schema) -> str:
    if field["type"] == "array":
        return f"list of {_type(field['items'])}"
    if "additionalProperties" in field:
        return f"map of {_type(field['additionalProperties'])}"
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    return str(field.get("format") or field["type"])


def _bounds(field: Schema, *, required: bool) -> str:
    said = ["required"] if required else []
    match (field.get("minimum"), field.get("maximum")):
        case (int(least), int(most)):
            said.append(f"{least:,} to {most:,}")
        case (int(least), None):
            said.append(f"at least {least:,}")
    if "maxItems" in field and field.get("minItems") == field["maxItems"]:
        said.append(f"exactly {field['maxItems']}")
        field = _without_bounds(field)
    for keyword, unit in (("maxLength", "characters"), ("maxItems", "items"), ("maxProperties", "entries")):
        if keyword in field:
            said.append(f"at most {field[keyword]:,} {unit}")
    if "default" in field and field["type"] != "object":
        value = field["default"]
        said.append(f"default `{', '.join(value) if isinstance(value, list) else value}`")
    return ", ".join(said)


def _without_bounds(field: Schema) -> Schema:
    return {name: value for name, value in field.items() if name not in ("minItems", "maxItems")}


def _prose(text: str) -> str:
    """Text whose brackets are brackets, neither tags nor links."""
    return text.replace("<", "&lt;").replace("[", "\\[")


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def main() -> int:
    """Write the pages, or with `--check` say which differ."""
    parser = argparse.ArgumentParser(prog="python -m lambent.tools.spec_pages", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page differs")
    return settle(pages(), check=parser.parse_args().check)


if __name__ == "__main__":
    sys.exit(main())
