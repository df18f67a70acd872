import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.adapters.key_files import Ownership, Process, is_private
from shared.adapters.signatures import load_ring, load_sealer, new_keys
from shared.domain.errors import InvalidSettings
from shared.domain.signing import Role

ROOT, US, ANOTHER = 0, 65532, 1000
OURS, FOREIGN = 4242, 100

US_ALL = Process(US, {US, OURS})
AS_ROOT = Process(ROOT, {ROOT, OURS})


@pytest.mark.parametrize("mode", [0o600, 0o400])
@pytest.mark.parametrize("owner", [ROOT, US, ANOTHER])
def test_a_key_file_is_private_that_only_its_owner_may_read(owner: int, mode: int) -> None:
    assert is_private(Ownership(owner, FOREIGN, mode), US_ALL)


@pytest.mark.parametrize("mode", [0o440, 0o640, 0o040])
def test_a_key_file_of_root_may_be_read_by_a_group_of_ours(mode: int) -> None:
    assert is_private(Ownership(ROOT, OURS, mode), US_ALL)
    assert is_private(Ownership(ROOT, US, mode), US_ALL)


@pytest.mark.parametrize(
    ("file", "process"),
    [
        (Ownership(ROOT, FOREIGN, 0o440), US_ALL),
        (Ownership(US, OURS, 0o440), US_ALL),
        (Ownership(US, OURS, 0o640), US_ALL),
        (Ownership(ANOTHER, OURS, 0o440), US_ALL),
        (Ownership(ROOT, OURS, 0o440), AS_ROOT),
        (Ownership(ROOT, ROOT, 0o640), AS_ROOT),
        (Ownership(ANOTHER, OURS, 0o640), AS_ROOT),
    ],
)
def test_a_groups_right_is_refused_wherever_it_is_not_roots_way_to_us(
    file: Ownership, process: Process
) -> None:
    assert not is_private(file, process)


@pytest.mark.parametrize("mode", [0o444, 0o441, 0o442, 0o460, 0o450, 0o660, 0o644, 0o604, 0o777])
@pytest.mark.parametrize("owner", [ROOT, US, ANOTHER])
def test_whatever_more_than_reading_by_a_group_is_allowed_is_refused(owner: int, mode: int) -> None:
    assert not is_private(Ownership(owner, OURS, mode), US_ALL)


# The same with real files and a real process of another user


@pytest.fixture
def volume() -> Iterator[Path]:
    """Keys as the kubelet lays out a Secret: links into a folder of a moment."""
    if os.geteuid() != ROOT:
        pytest.skip("only root can give files to others")
    # pytest's own folders are root's alone.
    folder = Path(tempfile.mkdtemp(prefix="imagegate-"))
    folder.chmod(0o755)
    try:
        moment = folder / "..2026_07_01_12_00_00.1"
        new_keys(moment)
        moment.chmod(0o755)
        (folder / "..data").symlink_to(moment.name)
        for name in ("worker.key", "worker.pub"):
            (folder / name).symlink_to(f"..data/{name}")
        yield folder
    finally:
        shutil.rmtree(folder)


def load(folder: Path) -> str:
    """What a process that is not root says when it loads key and ring."""
    reading, writing = os.pipe()
    child = os.fork()  # a new interpreter may not be this user's to run
    if child == 0:
        try:
            os.setgroups([OURS])
            os.setgid(US)
            os.setuid(US)
            os.write(writing, _load(folder).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading) as answer:
        said = answer.read()
    os.waitpid(child, 0)
    return said


def _load(folder: Path) -> str:
    try:
        trusted = load_ring(folder).trusts(load_sealer(folder).key_id, Role.WORKER)
    except InvalidSettings as error:
        return str(error)
    return "trusted" if trusted else "not trusted"


def give(folder: Path, *, group: int, mode: int, user: int = ROOT) -> None:
    for name in ("worker.key", "worker.pub"):
        path = (folder / name).resolve()
        os.chown(path, user, group)
        path.chmod(mode)


@pytest.mark.parametrize("mode", [0o440, 0o640])
def test_the_key_of_a_secret_with_an_fs_group_signs(volume: Path, mode: int) -> None:
    give(volume, group=OURS, mode=mode)
    assert load(volume) == "trusted"


def test_the_key_of_a_secret_that_everybody_may_read_is_refused_with_what_to_do(
    volume: Path,
) -> None:
    give(volume, group=OURS, mode=0o644)
    said = load(volume)
    assert f"mode 0644, user 0, group {OURS}" in said
    assert "defaultMode: 0440 and the pod's securityContext.fsGroup" in said


def test_a_key_of_our_own_that_a_group_may_read_is_refused_with_what_to_do(volume: Path) -> None:
    give(volume, user=US, group=OURS, mode=0o640)
    assert "worker.key can be read by others" in (said := load(volume))
    assert f"chmod 600 {volume}/worker.key" in said


def test_a_key_of_another_user_is_refused_with_what_to_do(volume: Path) -> None:
    give(volume, user=ANOTHER, group=OURS, mode=0o440)
    assert f"chown {US} {volume}/worker.key" in load(volume)
