from pathlib import Path

import pytest

from shared.adapters.redis_store.address import parse_address
from shared.adapters.redis_store.connections import PlainConnection, TlsConnection
from shared.adapters.redis_store.links import RedisLinks
from shared.domain.errors import InvalidSettings
from tests.fakes.certificates import server_certificate

SECRET = "s3cr3t"


def test_a_short_url_is_filled_up() -> None:
    address = parse_address("redis://redis.test")
    assert str(address) == "redis.test:6379/0"
    options = address.connection_options()
    assert options["connection_class"] is PlainConnection
    assert "credential_provider" not in options


def test_everything_a_url_can_name_is_used() -> None:
    address = parse_address("rediss://user%40a:p%3Aw@redis.test:7000/3")
    assert str(address) == "redis.test:7000/3"
    options = address.connection_options()
    assert options["connection_class"] is TlsConnection
    assert options["credential_provider"].get_credentials() == ("user@a", "p:w")


def test_a_password_alone_is_the_default_users() -> None:
    options = parse_address(f"redis://:{SECRET}@redis.test").connection_options()
    assert options["credential_provider"].get_credentials() == (SECRET,)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "redis.test:6379",
        "redis://",
        f"http://user:{SECRET}@redis.test",
        f"redis://user:{SECRET}/@redis.test:6379",
        f"redis://user:{SECRET}@redis.test:port",
        f"redis://user:{SECRET}@redis.test:99999",
        f"redis://user:{SECRET}@redis.test/database",
        f"redis://user:{SECRET}@redis.test/0?socket_timeout=9",
        f"redis://user:{SECRET}@[redis.test/0",
        f"redis://user:{SECRET}#@redis.test/0",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(InvalidSettings, match=r"redis\[s\]://") as raised:
        parse_address(url)
    assert SECRET not in f"{raised.value!r} {raised.value.__cause__!r}"
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_neither_address_nor_links_show_name_or_password() -> None:
    url = f"redis://name:{SECRET}@redis.test"
    links = RedisLinks(url=url)
    shown = f"{links!r} {vars(links)!r} {links.address!r} {links.address}"
    assert SECRET not in shown
    assert "name" not in shown.replace("username", "")


def test_a_ca_file_that_is_not_there_or_holds_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"missing\.pem"):
        parse_address("rediss://redis.test", ca_file=tmp_path / "missing.pem")
    (tmp_path / "empty.pem").write_text("no certificate")
    with pytest.raises(InvalidSettings, match=r"empty\.pem"):
        parse_address("rediss://redis.test", ca_file=tmp_path / "empty.pem")


def test_a_ca_file_takes_the_place_of_those_whom_the_system_believes(tmp_path: Path) -> None:
    ca_file, _ = server_certificate(tmp_path)
    address = parse_address("rediss://redis.test", ca_file=ca_file)
    (believed,) = address.connection_options()["trust"].get_ca_certs()
    assert believed["subject"] == ((("commonName", "ca"),),)


def test_a_ca_file_without_tls_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="rediss://"):
        parse_address("redis://redis.test", ca_file=tmp_path / "ca.pem")
