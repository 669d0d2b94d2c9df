"""What the code store makes of its environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from lambent.codestore.settings import InvalidSettings, Settings


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "url-key").write_bytes(b"0123456789abcdef\n")
    return {"LAMBENT_CODESTORE_DIR": "/blobs", "LAMBENT_KEYS_DIR": str(tmp_path)}


def test_the_least_environment_means_the_defaults(environment: dict[str, str]) -> None:
    settings = Settings.from_environment(environment)
    assert settings == Settings(Path("/blobs"), b"0123456789abcdef", 8082, 9090, "INFO")


def test_every_variable_is_heard(environment: dict[str, str]) -> None:
    environment |= {"LAMBENT_CODESTORE_PORT": "1", "LAMBENT_METRICS_PORT": "0", "LAMBENT_LOG_LEVEL": "debug"}
    settings = Settings.from_environment(environment)
    assert (settings.port, settings.metrics_port, settings.log_level) == (1, 0, "DEBUG")


def test_the_key_is_never_shown(environment: dict[str, str]) -> None:
    assert "0123456789abcdef" not in repr(Settings.from_environment(environment))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LAMBENT_CODESTORE_DIR", "", "LAMBENT_CODESTORE_DIR is not set"),
        ("LAMBENT_KEYS_DIR", "", "LAMBENT_KEYS_DIR is not set"),
        ("LAMBENT_KEYS_DIR", "/nowhere", "/nowhere/url-key cannot be read: No such file"),
        ("LAMBENT_CODESTORE_PORT", "-1", "LAMBENT_CODESTORE_PORT is no port"),
        ("LAMBENT_CODESTORE_PORT", "65536", "LAMBENT_CODESTORE_PORT is no port"),
        ("LAMBENT_METRICS_PORT", "http", "LAMBENT_METRICS_PORT is no port"),
        ("LAMBENT_LOG_LEVEL", "LOUD", "LAMBENT_LOG_LEVEL is no level"),
    ],
)
def test_what_is_wrong_is_named(environment: dict[str, str], name: str, value: str, said: str) -> None:
    with pytest.raises(InvalidSettings, match=said):
        Settings.from_environment(environment | {name: value})


def test_a_short_key_is_refused(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "url-key").write_bytes(b"short" + b"\n" * 20)
    with pytest.raises(InvalidSettings, match="fewer than 16 bytes"):
        Settings.from_environment(environment)
