"""What an exception must say, and which findings of which image it then covers."""

import itertools

import msgspec
import pytest

from shared.domain.errors import ErrorKind, InvalidException
from shared.domain.exceptions import (
    LAST_END,
    MAX_ENTRIES,
    MAX_TEXT,
    ImageException,
    checked,
    covering,
    exempts,
)
from shared.domain.reference import parse_reference
from shared.domain.verdict import Action, Finding, Outcome, Question, Subject, Verdict

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64
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


# What it covers

NOW = 1_700_000_000_000
LATER = NOW + 1_000
REPOSITORY = "docker.io/library/redis"
PINNED = parse_reference(f"redis:7@{DIGEST}")


def failed(*stops: str, warns: int = 0, dropped: int = 0, digest: str = DIGEST) -> Verdict:
    """A fail with these findings that stop it."""
    findings = [Finding("gate", "trigger", stop, Action.STOP, "why") for stop in stops]
    findings += [Finding("gate", "trigger", f"w{n}", Action.WARN, "why") for n in range(warns)]
    return Verdict(
        subject=Subject(REPOSITORY, digest, "7"),
        question=Question(),
        outcome=Outcome.FAIL,
        evaluated_at=NOW,
        findings=tuple(findings),
        findings_dropped=dropped,
    )


def excepts(
    *findings: str, image: str = f"{REPOSITORY}@{DIGEST}", expires: int = LATER
) -> ImageException:
    """An exception of these findings, all of the digest where none is named."""
    return but(image=image, findings=findings or ("all",), expires=expires)


def test_a_fail_is_covered_when_every_finding_that_stops_it_is() -> None:
    exception = excepts("CVE-1", "CVE-2")
    assert covering(PINNED, failed("CVE-1"), [exception], now=NOW) == (exception,)
    assert covering(PINNED, failed("CVE-1", "CVE-2", warns=3), [exception], now=NOW)
    assert covering(PINNED, failed("CVE-1", "CVE-3"), [exception], now=NOW) == ()


def test_several_exceptions_cover_together_in_whatever_order_they_stand() -> None:
    one, other, third = excepts("CVE-1"), excepts("CVE-2", image=REPOSITORY), excepts("CVE-4")
    for order in itertools.permutations([one, other, third]):
        assert set(covering(PINNED, failed("CVE-1", "CVE-2"), order, now=NOW)) == {one, other}
        assert covering(PINNED, failed("CVE-1", "CVE-2", "CVE-3"), order, now=NOW) == ()


def test_of_two_that_cover_a_finding_the_one_that_ends_last_is_named() -> None:
    brief, long = excepts("CVE-1"), excepts("CVE-1", expires=LATER + 1)
    assert covering(PINNED, failed("CVE-1"), [long, brief], now=NOW) == (long,)
    assert covering(PINNED, failed("CVE-1"), [brief, long], now=NOW) == (long,)


def test_a_finding_is_compared_as_it_is_written() -> None:
    for written in ("cve-1", "CVE-1 ", "CVE", "CVE-11"):
        assert covering(PINNED, failed("CVE-1"), [excepts(written)], now=NOW) == ()


def test_what_has_ended_or_was_revoked_covers_nothing() -> None:
    exception = excepts("CVE-1")
    assert covering(PINNED, failed("CVE-1"), [exception], now=LATER - 1)
    assert covering(PINNED, failed("CVE-1"), [exception], now=LATER) == ()
    revoked = msgspec.structs.replace(exception, revoked=True)
    assert covering(PINNED, failed("CVE-1"), [revoked], now=NOW) == ()


@pytest.mark.parametrize(
    ("image", "covers"),
    [
        (REPOSITORY, True),
        (f"{REPOSITORY}@{DIGEST}", True),
        (f"{REPOSITORY}@{OTHER}", False),
        ("docker.io/library/redis2", False),
        ("docker.io/library", False),
        (f"ghcr.io/library/redis@{DIGEST}", False),
    ],
)
def test_it_is_about_its_own_image_only(image: str, covers: bool) -> None:
    assert (
        bool(covering(PINNED, failed("CVE-1"), [excepts("CVE-1", image=image)], now=NOW)) is covers
    )


def test_of_a_tag_counts_the_digest_that_was_judged() -> None:
    tag = parse_reference("redis:7")
    assert covering(tag, failed("CVE-1"), [excepts("CVE-1")], now=NOW)
    assert covering(tag, failed("CVE-1", digest=OTHER), [excepts("CVE-1")], now=NOW) == ()


def test_an_exception_of_an_index_covers_its_manifests() -> None:
    manifest = failed("CVE-1", digest=OTHER)
    for exception in (excepts("CVE-1"), excepts()):
        assert covering(PINNED, manifest, [exception], now=NOW) == (exception,)
        tag = parse_reference("redis:7")
        assert covering(tag, manifest, [exception], now=NOW) == ()
        assert covering(tag, manifest, [exception], now=NOW, digests=[DIGEST]) == (exception,)


def test_findings_that_are_not_all_known_are_covered_as_a_whole_only() -> None:
    verdict = failed("CVE-1", "CVE-2", dropped=1)
    assert covering(PINNED, verdict, [excepts("CVE-1", "CVE-2")], now=NOW) == ()
    assert covering(PINNED, verdict, [excepts()], now=NOW) == (excepts(),)


def test_findings_that_only_warn_may_be_dropped() -> None:
    verdict = failed("CVE-1", warns=1, dropped=5)
    assert covering(PINNED, verdict, [excepts("CVE-1")], now=NOW)


def test_a_fail_that_names_no_finding_is_covered_as_a_whole_only() -> None:
    assert covering(PINNED, failed(), [excepts("CVE-1")], now=NOW) == ()
    assert covering(PINNED, failed(), [excepts()], now=NOW)


@pytest.mark.parametrize("outcome", [Outcome.PASS, Outcome.ERROR])
def test_only_a_fail_is_covered(outcome: Outcome) -> None:
    error = ErrorKind.TRANSIENT if outcome is Outcome.ERROR else None
    verdict = msgspec.structs.replace(failed("CVE-1"), outcome=outcome, error=error)
    assert covering(PINNED, verdict, [excepts(), excepts("CVE-1")], now=NOW) == ()


def test_a_digest_may_be_exempt_before_anybody_judges_it() -> None:
    assert exempts(PINNED, [excepts("CVE-1"), excepts()], now=NOW) == excepts()
    assert exempts(PINNED, [excepts()], now=LATER) is None
    assert exempts(PINNED, [excepts("CVE-1")], now=NOW) is None
    assert exempts(parse_reference(f"redis@{OTHER}"), [excepts()], now=NOW) is None


def test_a_tag_is_never_exempt_before_its_digest_is_known() -> None:
    assert exempts(parse_reference("redis:7"), [excepts()], now=NOW) is None


def test_all_findings_of_a_repository_are_nobodys_to_except() -> None:
    """However it came into being: nothing but a digest is a whole image."""
    loose = excepts(image=REPOSITORY)
    assert not loose.whole
    assert covering(PINNED, failed("CVE-1"), [loose], now=NOW) == ()
    assert exempts(PINNED, [loose], now=NOW) is None


def test_it_holds_in_namespaces_that_a_glob_fits() -> None:
    exception = but(namespaces=("team-*", "ops"))
    assert [name for name in ("team-a", "ops", "team", "ops2") if exception.holds_in(name)] == [
        "team-a",
        "ops",
    ]
