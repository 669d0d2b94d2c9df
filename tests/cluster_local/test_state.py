"""Where the state lies, and who may change it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from local import state, tearing_down

PLACES = {
    "LAMBENT_STATE is the directory itself": (
        {"LAMBENT_STATE": "/s", "XDG_CACHE_HOME": "/c", "HOME": "/h"},
        "/s",
    ),
    "else the cache that XDG names": ({"XDG_CACHE_HOME": "/c", "HOME": "/h"}, "/c/lambent"),
    "else the user's cache": ({"HOME": "/h"}, "/h/.cache/lambent"),
}


@pytest.mark.parametrize("name", PLACES)
def test_the_directory_is(name: str) -> None:
    """Each row's name says what is true."""
    environment, expected = PLACES[name]
    assert Path(expected) == state.find(environment).root


def test_a_path_too_long_for_sockets_is_refused_with_a_way_out() -> None:
    """The kernel would refuse it later, with a message about something else."""
    with pytest.raises(SystemExit, match="LAMBENT_STATE"):
        state.find({"LAMBENT_STATE": "/" + "long" * 30})


def test_the_lock_is_free_again_when_its_holder_was_killed(tmp_path: Path) -> None:
    """A killed `up` must not block the next."""
    here = state.State(tmp_path)
    folder = Path(state.__file__).parent.parent
    hold = (
        f"import sys; sys.path.insert(0, {str(folder)!r}); from pathlib import Path; from local import state; import time\n"
        f"with state.locked(state.State(Path({str(tmp_path)!r})), 'node'):\n    print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    holder.kill()
    holder.wait()
    with state.locked(here, "images"):
        pass
    with state.locked(here, "node"):
        pass


def test_mounts_are_undone_from_the_inside_out() -> None:
    """/proc/mounts lists them in the order of mounting, and writes a space as \\040."""
    table = "x / ext4 rw\nx /s/kubelet ext4 rw\nx /s/kubelet/a\\040b tmpfs rw\nx /sea tmpfs rw\n"
    assert tearing_down.mounts_below(Path("/s"), table) == ["/s/kubelet/a b", "/s/kubelet"]
