"""What notices say: Engine's as they were recorded, Enterprise's as they are described."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.intake.anchore import read_notice
from services.intake.notices import Heard, Kind, Notice, Unheeded
from shared.domain.verdict import Subject
from tests.fakes.anchore_notices import DIGEST, TAG, notice_sample, notification

GOOD = "sha256:4434dbd91a9d54812a6af846c6427961a5d0e66668552033675debabaa695d92"
SECOND = "sha256:ab354a125889f42ed154fae2c0ac6f6189d17394ba78805111b597fff5cd3c39"
LATE = "sha256:4346f3ac2103e3e4650620f0df42bbbd060b6949085c7a2bc3ad4feb7f995fa0"
BROKEN = "sha256:2957c14d002667715c04af40065446fd35ce2272bd7ac7ad667d760e135d879d"
ONES = "sha256:" + "1a" * 32
ENGINE = "127.0.0.1:5000/team"
ENTERPRISE = Subject("registry.example.com/team/app", ONES, "1.4.0")


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        (
            "engine-analysis-update",
            Notice(Kind.ANALYSIS, "admin", Subject(f"{ENGINE}/good", GOOD, "1.0")),
        ),
        (
            "engine-policy-eval",
            Notice(Kind.POLICY, "admin", Subject(f"{ENGINE}/good", GOOD, "1.0")),
        ),
        (
            "engine-vuln-update",
            Notice(Kind.VULNERABILITIES, "admin", Subject(f"{ENGINE}/good", SECOND, "1.0")),
        ),
        (
            "engine-event-analysis-completed",
            Notice(Kind.ANALYSIS, "admin", Subject(f"{ENGINE}/late", LATE, "1.0")),
        ),
        (
            "engine-event-system-analysis-failed",
            Notice(Kind.ANALYSIS, "admin", Subject(f"{ENGINE}/broken", BROKEN, "1.0")),
        ),
        (
            "engine-event-policy-evaluation",
            Notice(Kind.POLICY, "admin", Subject(f"{ENGINE}/good", GOOD, "1.0")),
        ),
        ("enterprise-analysis-update", Notice(Kind.ANALYSIS, "oci", ENTERPRISE)),
        ("enterprise-policy-eval", Notice(Kind.POLICY, "oci", ENTERPRISE)),
        ("enterprise-vuln-update", Notice(Kind.VULNERABILITIES, "oci", ENTERPRISE)),
    ],
)
def test_each_shape_names_what_is_new_of_which_image(sample: str, expected: Notice) -> None:
    assert read_notice(notice_sample(sample)) == expected


@pytest.mark.parametrize(
    ("sample", "kind", "why"),
    [
        # Of a moved tag Engine tells neither the tag nor the repository.
        ("engine-tag-update", Kind.TAG, Heard.NO_NEWS),
        ("enterprise-tag-update", Kind.TAG, Heard.NO_NEWS),
        ("engine-test-tag-update", Kind.TAG, Heard.NO_NEWS),
        # These name no digest.
        ("engine-event-analysis-failed", Kind.ANALYSIS, Heard.NO_IMAGE),
        ("enterprise-endpoint-event", Kind.ANALYSIS, Heard.NO_IMAGE),
        ("engine-test-analysis-update", Kind.ANALYSIS, Heard.NO_IMAGE),
        ("engine-test-policy-eval", Kind.POLICY, Heard.NO_IMAGE),
        ("engine-test-vuln-update", Kind.VULNERABILITIES, Heard.NO_IMAGE),
    ],
)
def test_what_names_no_image_or_tells_no_news_asks_for_nothing(
    sample: str, kind: Kind, why: Heard
) -> None:
    assert read_notice(notice_sample(sample)) == Unheeded(kind, why)


def test_an_event_in_engines_event_log_is_read_as_the_event_alone() -> None:
    for name in ("engine-event-analysis-completed", "engine-event-system-analysis-failed"):
        event = json.loads(notice_sample(name))
        logged = notification("event_log", {"event": event}, account="not-the-events-own")
        assert read_notice(logged) == read_notice(notice_sample(name))


def analysis(status: Any = "analyzed", tag: Any = TAG, digest: Any = DIGEST) -> bytes:
    state = {"analysis_status": status, "imageDigest": digest}
    return notification("analysis_update", {"subscription_key": tag, "curr_eval": state})


@pytest.mark.parametrize("status", ["analyzed", "analysis_failed"])
def test_an_analysis_that_is_over_is_news_however_it_ended(status: str) -> None:
    assert isinstance(read_notice(analysis(status)), Notice)


@pytest.mark.parametrize("status", ["analyzing", "not_analyzed", "", None, "ANALYZED"])
def test_an_analysis_that_goes_on_is_none(status: str | None) -> None:
    assert read_notice(analysis(status)) == Unheeded(Kind.ANALYSIS, Heard.NO_NEWS)


def test_a_digest_that_was_scanned_under_a_tag_of_ours_has_no_tag() -> None:
    untagged = Subject("registry.corp/team/app", DIGEST)
    notice = read_notice(analysis(tag=untagged.scan_tag))
    assert isinstance(notice, Notice)
    assert notice.subject == untagged
    assert str(notice.reference) == f"registry.corp/team/app@{DIGEST}"


def test_a_tag_that_only_looks_like_ours_is_a_tag() -> None:
    tag = "imagegate-sha256-000000000000"
    notice = read_notice(analysis(tag=f"registry.corp/team/app:{tag}"))
    assert isinstance(notice, Notice)
    assert notice.subject == Subject("registry.corp/team/app", DIGEST, tag)


def test_the_names_of_docker_hub_are_those_of_pods() -> None:
    notice = read_notice(analysis(tag="docker.io/debian:12"))
    assert isinstance(notice, Notice)
    assert str(notice.reference) == f"docker.io/library/debian:12@{DIGEST}"


@pytest.mark.parametrize(
    "tag",
    [
        "registry.corp/team/app",
        "registry.corp/team/app:",
        f"registry.corp/team/app@{DIGEST}",
        f"registry.corp/team/app:1@{DIGEST}",
        "registry.corp/../app:1",
        "registry.corp/team/app:1\nGET / HTTP/1.1",
        "registry.corp/Team/app:1",
        "registry.corp/team/\u202eapp:1",
        "x" * 100_000,
        "",
        None,
    ],
)
def test_what_no_pod_could_name_is_no_image(tag: str | None) -> None:
    assert read_notice(analysis(tag=tag)) == Unheeded(Kind.ANALYSIS, Heard.NO_IMAGE)


@pytest.mark.parametrize(
    "digest", ["", None, "sha256:", DIGEST.upper(), DIGEST + "0", "sha512:" + "a" * 128, "latest"]
)
def test_what_is_no_digest_is_no_image(digest: str | None) -> None:
    assert read_notice(analysis(digest=digest)) == Unheeded(Kind.ANALYSIS, Heard.NO_IMAGE)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", Unheeded(Kind.UNKNOWN, Heard.UNREADABLE)),
        (b"hello", Unheeded(Kind.UNKNOWN, Heard.UNREADABLE)),
        (b"null", Unheeded(Kind.UNKNOWN, Heard.UNREADABLE)),
        (b"{}", Unheeded(Kind.UNKNOWN, Heard.UNREADABLE)),
        (b'{"data": 5}', Unheeded(Kind.UNKNOWN, Heard.UNREADABLE)),
        (b"[" * 100_000, Unheeded(Kind.UNKNOWN, Heard.UNREADABLE)),
        (b'{"type": "\xff"}', Unheeded(Kind.UNKNOWN, Heard.UNREADABLE)),
        (b'{"type": "x"}', Unheeded(Kind.UNKNOWN, Heard.UNREADABLE)),
        (b'{"type": "x", "resource": {}}', Unheeded(Kind.EVENT, Heard.NO_NEWS)),
        (notification("repo_update", {}), Unheeded(Kind.UNKNOWN, Heard.NO_NEWS)),
        (notification("policy_eval", []), Unheeded(Kind.POLICY, Heard.UNREADABLE)),
        (notification("event_log", {}), Unheeded(Kind.EVENT, Heard.UNREADABLE)),
    ],
)
def test_what_is_no_notice_is_told_apart_from_one_that_is_no_news(
    body: bytes, expected: Unheeded
) -> None:
    assert read_notice(body) == expected


leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.just(DIGEST)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
KEYS = """
data userId account_name notification_type notification_payload subscription_key curr_eval event
imageDigest image_digest type resource details id AnalysisError tag
"""
keys = st.sampled_from(KEYS.split())
shaped = st.recursive(
    anything | st.sampled_from(["analysis_update", "event_log", "analyzed", TAG]),
    lambda inner: st.dictionaries(keys, inner, max_size=6),
    max_leaves=20,
)


@given(st.binary(max_size=200) | shaped.map(lambda each: json.dumps(each).encode()))
def test_no_body_makes_it_fail(body: bytes) -> None:
    read = read_notice(body)
    assert isinstance(read, Unheeded) or str(read.reference).endswith(read.subject.digest)
