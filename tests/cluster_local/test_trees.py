"""Folders that are made once, and what npm's and Maven's must hold."""

from __future__ import annotations

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from local import maven, npm, trees
from local.talking import Failed

ROOT = Path(__file__).resolve().parents[2]


def test_a_tree_is_made_once(tmp_path: Path) -> None:
    """Whoever comes while it is being made waits for it."""
    made = []

    def make(draft: Path) -> None:
        made.append(draft)
        (draft / "file").write_text("content")

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: trees.made_once(tmp_path, "key", "a tree", make), range(8)))
    assert (len(made), found) == (1, {tmp_path / "key"})
    assert (tmp_path / "key/file").read_text() == "content"


def test_what_fails_half_way_leaves_nothing_that_is_taken_for_the_tree(tmp_path: Path) -> None:
    def fail(draft: Path) -> None:
        (draft / "half").write_text("")
        raise Failed("no network")

    with pytest.raises(Failed):
        trees.made_once(tmp_path, "key", "a tree", fail)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]
    trees.made_once(tmp_path, "key", "a tree", lambda draft: (draft / "whole").touch())
    assert (tmp_path / "key/whole").exists()


DIGEST = hashlib.sha256(b"jar").hexdigest()
WRONG = {
    "another content": (f"{'0' * 64}  a.jar\n", "a.jar"),
    "a jar too few": (f"{DIGEST}  a.jar\n{DIGEST}  b.jar\n", "b.jar"),
    "a jar too many": ("", "a.jar"),
}


@pytest.mark.parametrize(("sums", "named"), WRONG.values(), ids=WRONG)
def test_jars_are_what_was_promised_or_nothing_is(tmp_path: Path, sums: str, named: str) -> None:
    """Names the jar."""
    (tmp_path / "a.jar").write_bytes(b"jar")
    with pytest.raises(Failed, match=named):
        maven.check(tmp_path, sums)
    maven.check(tmp_path, f"{DIGEST}  a.jar\n")


LOCKS = sorted((ROOT / npm.IMAGE).glob("*/package-lock.json"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.parent.name)
def test_a_lock_file_has_a_hash_for_every_package_and_names_no_registry(lock: Path) -> None:
    """Whichever registry a machine uses, the same bytes come of it."""
    packages = json.loads(lock.read_text())["packages"]
    fetched = {name: each for name, each in packages.items() if name}
    assert fetched
    assert all("integrity" in each and "resolved" not in each for each in fetched.values())


def test_every_major_has_its_client() -> None:
    """What images.py builds and the suite runs."""
    assert {lock.parent.name for lock in LOCKS} == {"client22", "client24", "node22", "node24"}
