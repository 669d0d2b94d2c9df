"""What the list of images promises."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest
from local import archives, building, images
from local.images import Base, Image

BASE = Base("b", "bookworm", ("python3",))


def image(root: Path) -> Image:
    """A small image whose inputs lie below `root`."""
    (root / "Dockerfile").write_text("FROM ${BASE}\n")
    (root / "code").mkdir()
    (root / "code/main.py").write_text("pass")
    return Image("one", "1.0", "Dockerfile", ("Dockerfile", "code"), BASE)


def test_the_tag_names_the_content(tmp_path: Path) -> None:
    """Same inputs, same tag; other inputs, other tag."""
    one = image(tmp_path)
    tag = building.tag_of(one, tmp_path, with_docker=False)
    assert tag.startswith("localhost/lambent/one:1.0-")
    assert tag == building.tag_of(one, tmp_path, with_docker=False)
    (tmp_path / "code/main.py").write_text("fail")
    assert tag != building.tag_of(one, tmp_path, with_docker=False)


def test_an_image_of_docker_has_another_tag(tmp_path: Path) -> None:
    """It has another base."""
    one = image(tmp_path)
    assert building.tag_of(one, tmp_path, with_docker=False) != building.tag_of(one, tmp_path, with_docker=True)


@pytest.mark.parametrize("one", (*images.IMAGES, *images.RUNTIMES, *images.SAMPLES), ids=lambda one: one.name)
def test_the_dockerfile_is_an_input_of(one: Image) -> None:
    """A changed Dockerfile is a changed image."""
    assert any(one.dockerfile == path or one.dockerfile.startswith(f"{path}/") for path in one.inputs)


def test_old_archives_go_and_new_ones_stay(tmp_path: Path) -> None:
    """By last use, and each name by itself."""
    for number in range(5):
        path = tmp_path / f"python-3.11-{number:012}.tar"
        path.write_text("")
        os.utime(path, (number, number))
    (tmp_path / "provided-al2023-000000000000.tar").write_text("")
    assert building.old_archives(tmp_path, "python") == [tmp_path / f"python-3.11-{n:012}.tar" for n in (0, 1)]


def test_a_docker_archive_is_whole(tmp_path: Path) -> None:
    """Manifest, configuration and layer name each other."""
    archives.write_archive(tmp_path / "a.tar", "localhost/x:1", {"pause": b"elf"}, ["/pause"])
    with tarfile.open(tmp_path / "a.tar") as outer:
        bodies = {member.name: outer.extractfile(member).read() for member in outer}  # type: ignore[union-attr]
    [entry] = json.loads(bodies["manifest.json"])
    assert entry["RepoTags"] == ["localhost/x:1"]
    assert json.loads(bodies[entry["Config"]])["config"]["Entrypoint"] == ["/pause"]
    with tarfile.open(fileobj=io.BytesIO(bodies[entry["Layers"][0]])) as layer:
        assert layer.getmember("pause").mode == 0o755
