"""How long a pointer is the registry's word, and which manifests of an index a runtime could
choose."""

import pytest

from shared.domain.errors import ErrorKind
from shared.domain.pointer import DAY, MINUTE, SECOND, Index, Manifest, Pointer, Standing

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
AMD64 = ("linux/amd64",)


def chosen(*manifests: Manifest, platforms: tuple[str, ...] = AMD64) -> list[str]:
    index = Index(C, manifests, asked_at=0)
    return [entry.digest for entry in index.counted(platforms)]


@pytest.mark.parametrize(
    ("platform", "lesser"),
    [
        ("linux/amd64", Manifest(B, "linux", "386")),
        ("linux/arm64", Manifest(B, "linux", "arm", "v7")),
    ],
)
def test_the_lesser_architecture_counts_where_no_entry_is_exactly_the_nodes(
    platform: str, lesser: Manifest
) -> None:
    system, _, machine = platform.partition("/")
    odd = Manifest(A, system, machine, "v9")
    exact = Manifest(A, system, machine, exact=True)
    here = (platform,)
    assert chosen(lesser, platforms=here) == [B]
    assert chosen(odd, lesser, platforms=here) == [A, B]
    assert chosen(exact, lesser, platforms=here) == [A]
    assert chosen(lesser, exact, platforms=here) == [A]


def test_an_exact_entry_speaks_for_its_own_platform_only() -> None:
    both = ("linux/amd64", "linux/arm64")
    exact, odd = Manifest(A, "linux", "amd64", exact=True), Manifest(B, "linux", "arm64", "v9")
    lesser = Manifest(C, "linux", "arm")
    assert chosen(exact, odd, lesser, platforms=both) == [A, B, C]
    assert chosen(odd, lesser, exact, platforms=("linux/amd64",)) == [A]
    assert chosen(Manifest(A, "windows", "amd64", exact=True), Manifest(B, "linux", "386")) == [B]


@pytest.mark.parametrize(
    ("always", "immutable", "young"),
    [
        (True, False, 10 * SECOND),
        (False, False, 60 * SECOND),
        (True, True, 7 * DAY),
        (False, True, 7 * DAY),
    ],
)
def test_a_pointer_is_young_for_a_time_of_its_pods_pull_policy_and_of_its_tag(
    always: bool, immutable: bool, young: int
) -> None:
    pointer = Pointer("registry.corp/app:1", asked_at=DAY, digest=A)
    before, after = (
        pointer.standing(DAY + young + late, always=always, immutable=immutable) for late in (-1, 0)
    )
    assert before is Standing.YOUNG
    assert after is (Standing.OLD if always else Standing.USABLE)
    assert pointer.ends_at == DAY + 7 * DAY


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (ErrorKind.NOT_FOUND, MINUTE),
        (ErrorKind.UNAUTHORISED, MINUTE),
        (ErrorKind.TRANSIENT, 15 * SECOND),
    ],
)
def test_that_a_tag_could_not_be_had_is_kept_as_long_as_an_error_of_a_verdict(
    error: ErrorKind, kept: int
) -> None:
    assert Pointer("registry.corp/app:1", asked_at=DAY, error=error).ends_at == DAY + kept
