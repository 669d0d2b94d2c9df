"""Content keys follow the content, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from local import digests


def tree(root: Path) -> Path:
    """A small folder."""
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/one.py").write_text("1")
    (root / "a/two.py").write_text("2")
    return root


def test_the_same_content_elsewhere_has_the_same_key(tmp_path: Path) -> None:
    """Checkouts at different paths share what was built."""
    one, two = tree(tmp_path / "x"), tree(tmp_path / "y")
    assert digests.key(["t"], one, ["a"]) == digests.key(["t"], two, ["a"])


CHANGES = {
    "another byte": lambda root: (root / "a/two.py").write_text("3"),
    "another name": lambda root: (root / "a/two.py").rename(root / "a/three.py"),
    "another file": lambda root: (root / "a/new").write_text(""),
    "an executable bit": lambda root: (root / "a/two.py").chmod(0o755),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_key_changes_with(change: str, tmp_path: Path) -> None:
    """Whatever gets into an image or a binary."""
    root = tree(tmp_path)
    before = digests.key([], root, ["a"])
    CHANGES[change](root)
    assert digests.key([], root, ["a"]) != before


def test_what_programs_leave_behind_does_not_count(tmp_path: Path) -> None:
    """Running the code must not rebuild it."""
    root = tree(tmp_path)
    before = digests.key([], root, ["a"])
    (root / "a/__pycache__").mkdir()
    (root / "a/__pycache__/one.cpython-311.pyc").write_text("x")
    assert digests.key([], root, ["a"]) == before


def test_the_border_between_two_texts_counts() -> None:
    """Otherwise ["ab", "c"] and ["a", "bc"] would be one."""
    assert digests.key(["ab", "c"], Path("/")) != digests.key(["a", "bc"], Path("/"))


def test_an_input_that_is_missing_is_an_error(tmp_path: Path) -> None:
    """A misspelled input would silently leave the key unchanged."""
    with pytest.raises(FileNotFoundError):
        digests.key([], tmp_path, ["nowhere"])
