"""What an exception must say, and which findings of which image it then covers."""

import msgspec
import pytest

from shared.domain.errors import InvalidException
from shared.domain.exceptions import LAST_END, MAX_ENTRIES, MAX_TEXT, ImageException, checked

DIGEST = "sha256:" + "a" * 64
REDIS = ImageException(
    image=f"docker.io/library/redis@{DIGEST}",
    findings=("CVE-2026-0001+openssl",),
    namespaces=("team-cache",),
    reason="no fix yet",
    owner="team-cache",
    expires=1_800_000_000_000,
)


def but(**changes: object) -> ImageException:
    return msgspec.structs.replace(REDIS, **changes)


@pytest.mark.parametrize(
    ("written", "image"),
    [
        (f"redis@{DIGEST}", f"docker.io/library/redis@{DIGEST}"),
        (f"index.docker.io/team/app@{DIGEST}", f"docker.io/team/app@{DIGEST}"),
        ("redis", "docker.io/library/redis"),
        ("Registry.corp:5000/team/app", "registry.corp:5000/team/app"),
    ],
)
def test_its_image_is_normalised_as_references_are(written: str, image: str) -> None:
    assert checked(but(image=written)) == but(image=image)


@pytest.mark.parametrize("image", ["redis:7", f"redis:7@{DIGEST}", "registry.corp:5000/a/b:latest"])
def test_a_tag_is_refused_since_it_moves(image: str) -> None:
    with pytest.raises(InvalidException, match=r"^image: names a tag.*@sha256:"):
        checked(but(image=image))


@pytest.mark.parametrize("image", ["", "docker.io/", "redis@sha256:abc", "a" * 64, "réd", "a.b/**"])
def test_what_is_no_reference_is_refused(image: str) -> None:
    with pytest.raises(InvalidException, match=r"^image: ") as caught:
        checked(but(image=image))
    assert caught.value.field == "image"


def test_all_findings_need_a_digest_and_stand_alone() -> None:
    assert checked(but(findings=("all",))).whole
    with pytest.raises(InvalidException, match=r"^findings: all holds for one digest only"):
        checked(but(findings=("all",), image="docker.io/library/redis"))
    with pytest.raises(InvalidException, match=r"^findings: all stands alone"):
        checked(but(findings=("all", "CVE-2026-0001+openssl")))
    with pytest.raises(InvalidException, match=r"^findings: 'ALL' is no finding"):
        checked(but(findings=("ALL",)))


def test_a_finding_is_named_whole() -> None:
    with pytest.raises(InvalidException, match="no wildcards"):
        checked(but(findings=("CVE-2026-0001+*",)))


@pytest.mark.parametrize("pattern", ["Team", "-team", "team-", "a.b", "t[ea]m", "", "a" * 64, "ü"])
def test_a_namespace_that_cannot_be_is_refused(pattern: str) -> None:
    with pytest.raises(InvalidException, match=r"^namespaces: .*can match no namespace"):
        checked(but(namespaces=("team", pattern)))


@pytest.mark.parametrize("pattern", ["*", "team-*", "*-prod", "t??m", "a" * 63, "a" * 63 + "*"])
def test_namespaces_are_globs(pattern: str) -> None:
    assert checked(but(namespaces=(pattern,))).namespaces == (pattern,)


@pytest.mark.parametrize("field", ["findings", "namespaces"])
def test_what_is_listed_is_bounded_and_counts_once(field: str) -> None:
    assert getattr(checked(but(**{field: ("a", "b", "a")})), field) == ("a", "b")
    for texts in ((), tuple(f"a{number}" for number in range(MAX_ENTRIES + 1))):
        with pytest.raises(InvalidException, match=f"^{field}: must have 1 to {MAX_ENTRIES} items"):
            checked(but(**{field: texts}))


@pytest.mark.parametrize("field", ["reason", "owner"])
@pytest.mark.parametrize("text", ["", "  ", "a\nb", "\x1b[31m", "a\u202eb", "a" * (MAX_TEXT + 1)])
def test_texts_are_there_and_can_be_shown(field: str, text: str) -> None:
    with pytest.raises(InvalidException, match=f"^{field}: must be 1 to {MAX_TEXT} printable"):
        checked(but(**{field: text}))


@pytest.mark.parametrize("expires", [0, -1, LAST_END + 1])
def test_none_is_without_an_end(expires: int) -> None:
    with pytest.raises(InvalidException, match=r"^expires: "):
        checked(but(expires=expires))


def test_one_that_has_ended_is_still_one() -> None:
    assert not checked(but(expires=1)).counts(2)


def test_an_id_can_stand_in_a_key() -> None:
    assert checked(but(id="2026-01-31.team_a")).id == "2026-01-31.team_a"
    with pytest.raises(InvalidException, match=r"^id: "):
        checked(but(id="a b"))
