from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest

from shared.domain.errors import InvalidSettings
from shared.runtime.settings import Secret, environ_of_others, read_settings, required


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Example(msgspec.Struct, frozen=True):
    redis_url: Secret
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8443
    wait: float = 2.0
    verbose: bool = False
    rules: Path | None = None
    hosts: tuple[str, ...] = ()
    colour: Colour = Colour.RED
    style: Literal["json", "console"] = "json"


def read(environ: Mapping[str, str], file: Path | None = None) -> Example:
    return read_settings(Example, environ={"REDIS_URL": "redis://x", **environ}, file=file)


def write(folder: Path, text: str) -> Path:
    file = folder / "settings.yaml"
    file.write_text(text)
    return file


def test_a_field_is_read_from_the_variable_of_its_name_in_its_type(tmp_path: Path) -> None:
    settings = read(
        {
            "PORT": "9443",
            "WAIT": "0.5",
            "VERBOSE": "true",
            "RULES": str(tmp_path),
            "HOSTS": "a:1, b",
            "COLOUR": "blue",
        }
    )
    assert settings == Example(
        redis_url=Secret("redis://x"),
        port=9443,
        wait=0.5,
        verbose=True,
        rules=tmp_path,
        hosts=("a:1", "b"),
        colour=Colour.BLUE,
    )


def test_what_is_not_set_has_its_default() -> None:
    assert read({}).port == 8443


def test_an_empty_variable_is_not_set() -> None:
    assert read({"PORT": "", "RULES": "", "REDIS_URL_FILE": ""}) == read({})
    with pytest.raises(InvalidSettings, match="REDIS_URL is not set"):
        read_settings(Example, environ={"REDIS_URL": ""})


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, "port: 1111\nwait: 3\nhosts: [a, b]\n")
    settings = read({"PORT": "2222"}, file)
    assert (settings.port, settings.wait, settings.hosts) == (2222, 3.0, ("a", "b"))


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    assert read({}, write(tmp_path, "")) == read({})


def test_a_secret_comes_from_the_file_that_its_variable_names(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("redis://:pw@x\n")
    settings = read_settings(Example, environ={"REDIS_URL_FILE": str(secret)})
    assert settings.redis_url.value == "redis://:pw@x"


def test_a_secret_is_shown_nowhere() -> None:
    settings = read({"REDIS_URL": "redis://:hush@x"})
    assert "hush" not in repr(settings)
    assert "hush" not in f"{settings.redis_url}"
    assert not Secret("")


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"PORT": "http"}, ["PORT", "a whole number at least 1 and at most 65535"]),
        ({"PORT": "0"}, ["PORT", "at least 1"]),
        ({"VERBOSE": "perhaps"}, ["VERBOSE", "true or false"]),
        ({"COLOUR": "green"}, ["COLOUR", "one of red, blue"]),
        ({"STYLE": "xml"}, ["STYLE", "one of json, console"]),
        ({"REDIS_URL_FILE": "/nowhere"}, ["REDIS_URL", "both set"]),
        ({"PORT_FILE": "/nowhere/port"}, ["PORT_FILE", "/nowhere/port", "No such file"]),
    ],
)
def test_a_wrong_variable_is_named_with_the_type_it_wants(
    environ: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(InvalidSettings) as caught:
        read(environ)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_missing_variable_is_named_with_both_ways_to_set_it() -> None:
    with pytest.raises(InvalidSettings, match=r"REDIS_URL is not set.*REDIS_URL_FILE"):
        read_settings(Example, environ={})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot: 1\n", ["unknown key 'prot'", "did you mean 'port'"]),
        ("zzzzzz: 1\n", ["unknown key 'zzzzzz'", "known are redis_url, port"]),
        ("port: [1]\n", ["port in", "a whole number", "not this list"]),
        ("hosts: [1, 2]\n", ["hosts in", "a list, each a text"]),
        ("rules: 7\n", ["rules in", "a path"]),
        ("- a\n", ["keys and values, not a list"]),
        ("port: [\n", ["is not YAML"]),
    ],
)
def test_a_wrong_file_is_named_with_its_key(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(InvalidSettings) as caught:
        read({}, write(tmp_path, text))
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_wrong_text_is_not_said_to_be_a_text() -> None:
    with pytest.raises(InvalidSettings) as caught:
        read({"PORT": "abc"})
    assert str(caught.value) == "PORT must be a whole number at least 1 and at most 65535"


def test_what_only_some_commands_need_is_named_with_both_ways_to_set_it() -> None:
    assert required("redis://x", "REDIS_URL", "redis://localhost") == "redis://x"
    with pytest.raises(InvalidSettings, match=r"REDIS_URL is not set.*redis://localhost.*_FILE"):
        required("", "REDIS_URL", "redis://localhost")


def test_a_value_never_stands_in_the_message() -> None:
    with pytest.raises(InvalidSettings) as caught:
        read({"PORT": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidSettings, match="not UTF-8"):
        read({}, file)


def test_programs_of_others_are_not_told_our_secrets() -> None:
    ours = {
        "REDIS_URL": "redis://:secret@redis",
        "AMQP_URL_FILE": "/run/secrets/amqp",
        "ANCHORE_PASSWORD": "secret",
        "IMAGEGATE_EVENTS_HMAC": "secret",
    }
    theirs = {"PATH": "/bin", "HOME": "/h", "AWS_REGION": "eu-west-1", "REDIS_URLS": "x"}
    assert environ_of_others(ours | theirs) == theirs


def test_a_secret_in_a_file_is_read_again_when_the_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("first\n")
    secret = read_settings(Example, environ={"REDIS_URL_FILE": str(file)}).redis_url
    assert (secret.value, secret.current()) == ("first", "first")
    file.write_text("the second\n")
    assert secret.current() == "the second"
    assert secret.value == "first"
    renewed = tmp_path / "renewed"
    renewed.write_text("the third!\n")
    renewed.replace(file)
    assert secret.current() == "the third!"
    assert "third" not in repr(secret)


def test_a_secret_whose_file_holds_none_for_a_moment_is_the_one_of_before(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("first")
    secret = read_settings(Example, environ={"REDIS_URL_FILE": str(file)}).redis_url
    for content in (b"", b"\n", b"\xff\xfe"):
        file.write_bytes(content)
        assert secret.current() == "first"
    file.unlink()
    assert secret.current() == "first"
    file.write_text("second")
    assert secret.current() == "second"


def test_a_secret_that_is_a_variable_stays_what_it_is() -> None:
    assert read({}).redis_url.current() == "redis://x"
