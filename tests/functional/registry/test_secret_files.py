"""Files with a user and with a password: read again when they change, shown never."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from shared.domain.errors import ErrorKind, PermanentFailure
from shared.domain.rules import RegistryRule, Rules
from tests.fakes.images import tiny_image
from tests.fakes.registry import FakeRegistry, Login, basic
from tests.functional.registry.conftest import OpenClient

SECRET = "correct-horse"

Refusal = Callable[..., Awaitable[str]]


def rules_with(
    registry: FakeRegistry, folder: Path, *, user: str = "user", password: str = "password"
) -> Rules:
    """An entry with the files of these names in the folder; empty: with none."""
    rule = RegistryRule(
        registry.host,
        insecure=True,
        user_file=str(folder / user) if user else "",
        password_file=str(folder / password) if password else "",
    )
    return Rules(registries=(rule,))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "user").write_text("ada\n")
    (tmp_path / "password").write_text(f"{SECRET}\r\n")
    return tmp_path


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
async def test_what_two_files_hold_is_the_login_without_the_newlines_at_their_ends(
    registry: FakeRegistry, open_client: OpenClient, files: Path, scheme: str
) -> None:
    registry.login = Login(scheme=scheme, user="ada", password=SECRET)
    client = await open_client(rules_with(registry, files))
    await client.resolve(registry.put(tiny_image(), "team/app:1"))
    given = [seen.authorization for seen in registry.requests]
    assert given[:2] == [None, basic("ada", SECRET)]


async def test_spaces_belong_to_a_password(
    registry: FakeRegistry, open_client: OpenClient, files: Path
) -> None:
    (files / "password").write_text(" two words \n")
    registry.login = Login(scheme="Basic", user="ada", password=" two words ")
    client = await open_client(rules_with(registry, files))
    await client.resolve(registry.put(tiny_image(), "team/app:1"))


@pytest.mark.parametrize(("user", "password"), [("changed", SECRET), ("ada", "changed")])
async def test_each_file_is_read_again_when_it_was_replaced(
    registry: FakeRegistry, open_client: OpenClient, files: Path, user: str, password: str
) -> None:
    registry.login = Login(scheme="Basic", user="ada", password=SECRET)
    client = await open_client(rules_with(registry, files))
    reference = registry.put(tiny_image(), "team/app:1")
    await client.resolve(reference)
    registry.login = Login(scheme="Basic", user=user, password=password)
    (files / "new").write_text("changed\n")
    (files / "new").replace(files / ("user" if user == "changed" else "password"))
    await client.resolve(reference)
    assert registry.requests[-1].authorization == basic(user, password)


@pytest.mark.parametrize("name", ["user", "password"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"correct-horse\ncorrect-horse", "holds more than one line"),
        (b"correct\x00horse", "holds more than one line, or signs that cannot be printed"),
        (b"\xffcorrect-horse", "is not UTF-8"),
        (b"correct-horse" * 10_000, "is larger than 65536 bytes"),
    ],
)
async def test_a_file_that_is_no_use_is_named_by_its_setting(
    refusal: Refusal, files: Path, name: str, content: bytes, said: str
) -> None:
    (files / name).write_bytes(content)
    assert f"the {name}File {files / name} {said}" in await refusal()


async def test_a_file_that_is_missing_is_named_by_its_setting(
    refusal: Refusal, files: Path
) -> None:
    (files / "user").unlink()
    assert f"the userFile {files / 'user'} cannot be read: no such file" in await refusal()


async def test_a_colon_would_end_a_users_name_early(refusal: Refusal, files: Path) -> None:
    (files / "user").write_text("ada:lovelace")
    assert "holds a ':'" in await refusal()


@pytest.mark.parametrize("named", ["user", "password"])
async def test_one_file_without_the_other_is_no_login(refusal: Refusal, named: str) -> None:
    lacking = "password" if named == "user" else "user"
    assert f"has no {lacking}File" in await refusal(**{lacking: ""})


@pytest.fixture
def refusal(registry: FakeRegistry, open_client: OpenClient, files: Path) -> Refusal:
    """Why nothing could be asked for; nothing was sent, and nothing is shown of the files."""

    async def refused(**names: str) -> str:
        client = await open_client(rules_with(registry, files, **names))
        registry.login = Login(user="ada", password=SECRET)
        with pytest.raises(PermanentFailure) as caught:
            await client.resolve(registry.put(tiny_image(), "team/app:1"))
        assert caught.value.kind is ErrorKind.UNAUTHORISED
        assert registry.asked("/token") == []
        assert "horse" not in str(caught.value)
        return str(caught.value)

    return refused
