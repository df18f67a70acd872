"""Which addresses may be asked, and for whom."""

import pytest
from yarl import URL

from shared.adapters.registry.addresses import AddressGuard
from shared.domain.errors import PermanentFailure
from shared.domain.rules import RegistryRule, Rules
from tests.fakes.names import FakeNames

pytestmark = pytest.mark.virtual_time

NEVER = (
    "169.254.169.254",
    "169.254.0.1",
    "fe80::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "240.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "::169.254.169.254",
)
OURS = (
    "127.0.0.1",
    "127.8.8.8",
    "::1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "fc00::1",
    "fec0::1",
    "64:ff9b:1:a00:0:100:808:808",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::1",
)
PUBLIC = ("93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "64:ff9b::5db8:d822")


def guard_over(*addresses: str, named: str = "") -> AddressGuard:
    rules = Rules(registries=(RegistryRule(host=named),) if named else ())
    names = FakeNames({"registry.test": [addresses]})
    return AddressGuard(rules=lambda: rules, timeout=1, resolver=names)


def url_of(address: str) -> URL:
    return URL.build(scheme="https", host=address, path="/")


@pytest.mark.parametrize("address", NEVER)
@pytest.mark.parametrize("named", [False, True])
async def test_link_local_metadata_and_reserved_addresses_are_never_asked(
    address: str, named: bool
) -> None:
    by_name = guard_over(address, named="registry.test" if named else "")
    with pytest.raises(PermanentFailure, match=r"registry\.test:443 is not asked.*never"):
        await by_name.resolve("registry.test", 443)
    spelt = f"[{address}]" if ":" in address else address
    with pytest.raises(PermanentFailure, match="never"):
        guard_over(named=spelt if named else "").check(url_of(address))


@pytest.mark.parametrize("address", OURS)
async def test_loopback_and_private_addresses_are_asked_only_for_named_hosts(address: str) -> None:
    with pytest.raises(PermanentFailure, match="registries"):
        await guard_over(address).resolve("registry.test", 443)
    with pytest.raises(PermanentFailure, match="registries"):
        guard_over().check(url_of(address))
    allowed = guard_over(address, named="registry.test")
    assert [result["host"] for result in await allowed.resolve("registry.test", 443)] == [address]
    spelt = f"[{address}]" if ":" in address else address
    guard_over(named=spelt).check(url_of(address))


@pytest.mark.parametrize("address", PUBLIC)
async def test_public_addresses_are_asked_for_anybody(address: str) -> None:
    assert await guard_over(address).resolve("registry.test", 443)
    guard_over().check(url_of(address))


async def test_a_host_is_named_with_its_port() -> None:
    allowed = guard_over("10.0.0.1", named="registry.test:5000")
    assert await allowed.resolve("registry.test", 5000)
    with pytest.raises(PermanentFailure):
        await allowed.resolve("registry.test", 443)


async def test_a_name_without_addresses_has_none() -> None:
    assert await guard_over().resolve("registry.test", 443) == []


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0177.0.0.1", "127.0.0.1.", "1"])
def test_an_address_in_another_spelling_is_never_asked(host: str) -> None:
    with pytest.raises(PermanentFailure, match="usual spelling"):
        guard_over(named=host).check(URL(f"https://{host}/"))
