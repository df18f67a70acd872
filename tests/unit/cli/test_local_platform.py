"""Which manifest of an index a scan here is about."""

import pytest

from services.cli.reports.local import chosen, own_platform
from shared.domain.errors import ErrorKind, PermanentFailure
from shared.domain.pointer import Index, Manifest


def index(*platforms: str) -> Index:
    """Entries of `os/architecture[/variant]`; an empty one has no platform."""
    entries = []
    for number, platform in enumerate(platforms):
        system, machine, variant = (*platform.split("/"), "", "")[:3]
        entries.append(Manifest(f"sha256:{number}", system, machine, variant))
    return Index("sha256:i", tuple(entries), 0)


@pytest.mark.parametrize(
    ("wanted", "digest"),
    [
        ("linux/amd64", "sha256:0"),
        ("linux/arm64", "sha256:1"),
        ("linux/arm64/v8", "sha256:1"),
        ("linux/arm/v7", "sha256:3"),
    ],
)
def test_a_platform_means_one_manifest(wanted: str, digest: str) -> None:
    arms = ("linux/arm64/v8", "linux/arm/v6", "linux/arm/v7")
    there = index("linux/amd64", *arms, "unknown/unknown")
    assert chosen(there, wanted, image="a.example/b:1").digest == digest


def test_of_several_variants_one_has_to_be_named() -> None:
    with pytest.raises(PermanentFailure, match="linux/arm/v6, linux/arm/v7") as failed:
        chosen(index("linux/arm/v6", "linux/arm/v7"), "linux/arm", image="a.example/b:1")
    assert failed.value.kind is ErrorKind.REFUSED


def test_a_platform_that_is_not_there_is_said_with_those_that_are() -> None:
    with pytest.raises(PermanentFailure, match="it has linux/amd64: choose one") as failed:
        chosen(index("linux/amd64", ""), "windows/amd64", image="a.example/b:1")
    assert failed.value.kind is ErrorKind.NOT_FOUND


def test_this_machine_has_a_platform() -> None:
    assert own_platform().startswith("linux/")
