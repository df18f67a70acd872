"""Which images a pattern is about, and which patterns could be about none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.image_pattern import ImagePattern
from shared.domain.reference import parse_reference

DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("pattern", "written", "matches"),
    [
        ("registry.corp/**", "registry.corp/team/app:1", True),
        ("registry.corp/**", f"registry.corp/team/app@{DIGEST}", True),
        ("registry.corp/**", "registry.corp:5000/team/app", False),
        ("registry.corp/**", "registry.corp.evil/team/app", False),
        ("registry.corp:5000/team-*/**", "registry.corp:5000/team-a/x/y", True),
        ("registry.corp:5000/team-*/**", "registry.corp:5000/team/x", False),
        ("*.corp/**", "a.corp/x", True),
        ("**/redis", "redis:7", True),
        ("docker.io/library/redis", "redis", True),
        ("docker.io/library/*", "index.docker.io/redis", True),
        ("docker.io/**", "redis", True),
        ("localhost/app", "localhost/app", True),
        ("[::1]:5000/**", "[::1]:5000/app", True),
        ("**", "a.b/c", True),
    ],
)
def test_it_is_compared_with_the_normalised_repository(
    pattern: str, written: str, matches: bool
) -> None:
    assert ImagePattern(pattern).matches(parse_reference(written)) is matches


@pytest.mark.parametrize(
    "pattern",
    [
        "a-*.b/c",
        "*.*/c-*",
        "a.b:?000/c",
        "a.b:*/c",
        "[::1]/c",
        "a.b/c_*/d",
        "a.b/*.*-*_?",
        "**/?*/c--d",
        "**:*-?",
        "**:?",
    ],
)
def test_what_wildcards_can_make_an_image_of_is_taken(pattern: str) -> None:
    assert ImagePattern(pattern).pattern == pattern


def test_without_a_tag_it_is_about_every_tag_and_digest() -> None:
    pattern = ImagePattern("a.b/c")
    assert not pattern.names_a_tag
    for written in ("a.b/c", "a.b/c:1", f"a.b/c:1@{DIGEST}", f"a.b/c@{DIGEST}"):
        assert pattern.matches(parse_reference(written))


def test_with_a_tag_it_is_about_references_that_name_such_a_tag() -> None:
    pattern = ImagePattern("**:latest*")
    assert pattern.names_a_tag
    for written in ("a.b/c", "a.b/c:latest-2", f"a.b/c:latest@{DIGEST}"):
        assert pattern.matches(parse_reference(written))
    for written in ("a.b/c:1", f"a.b/c@{DIGEST}"):
        assert not pattern.matches(parse_reference(written))


def test_with_a_digest_it_is_about_that_digest() -> None:
    pattern = ImagePattern(f"a.b/**@{DIGEST}")
    assert not pattern.names_a_tag
    assert pattern.matches(parse_reference(f"a.b/c:1@{DIGEST}"))
    assert not pattern.matches(parse_reference(f"a.b/c@{OTHER}"))
    assert not pattern.matches(parse_reference("a.b/c:1"))


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("redis", "write docker.io/library/redis, or \\*\\*/redis for any host"),
        ("team/app", "write docker.io/team/app, or \\*\\*/team/app for any host"),
        ("library/redis:7", "write docker.io/library/redis"),
        ("docker.io/redis", "write docker.io/library/redis"),
        ("docker.io/*", "write docker.io/library/\\*"),
        ("index.docker.io/team/**", "write docker.io/team/\\*\\*"),
        ("registry.corp", "write registry.corp/\\*\\* for all images"),
        ("registry.corp:5000", "write registry.corp/\\*\\*"),
        ("Registry.corp/app", "can match no repository"),
        ("https://registry.corp/app", "can match no repository"),
        ("a.b/team:5/app", "can match no repository"),
        ("a.b//c", "can match no repository"),
        ("a.b/c/", "can match no repository"),
        ("/a.b", "can match no repository"),
        ("a.b/../c", "can match no repository"),
        ("a.b/-c", "can match no repository"),
        ("a.b/c[de]", "can match no repository"),
        ("[a-c].b/x", "can match no repository"),
        ("a.b/ü", "can match no repository"),
        ("a.b./c", "can match no repository"),
        ("a..b/c", "can match no repository"),
        ("*..corp/c", "can match no repository"),
        ("-a.b/c", "can match no repository"),
        ("a.b:05000/c", "can match no repository"),
        ("a.b:0*/c", "can match no repository"),
        ("[:::]/c", "can match no repository"),
        ("[0:0:0:0:0:0:0:1]:5000/c", "can match no repository"),
        ("a.b/c..d", "can match no repository"),
        ("a.b/c___*", "can match no repository"),
        ("a.b/c._?", "can match no repository"),
        ("a.b/c:-1", "can match no tag"),
        ("a.b/c:.*", "can match no tag"),
        ("", "can match no repository"),
        ("a.b/c:", "can match no tag"),
        ("a.b/c:v 1", "can match no tag"),
        ("a.b/c@", "is not a digest"),
        (f"a.b/c@{DIGEST.upper()}", "is not a digest"),
        ("a.b/c@sha256:*", "is not a digest"),
        ("a.b/team-**", "stands alone between slashes"),
    ],
)
def test_what_can_match_no_image_is_refused_with_what_was_meant(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        ImagePattern(pattern)


@pytest.mark.parametrize(
    ("wide", "narrow", "contains"),
    [
        ("**", f"a.b/c:1@{DIGEST}", True),
        ("a.b/**", "a.b/c/**", True),
        ("a.b/c", f"a.b/c@{DIGEST}", True),
        ("a.b/c", "a.b/c:v1", True),
        ("a.b/c:v*", "a.b/c:v1", True),
        ("a.b/c:v*", "a.b/c", False),
        ("a.b/c:v1", "a.b/c:v*", False),
        (f"a.b/c@{DIGEST}", "a.b/c", False),
        (f"a.b/c@{DIGEST}", f"a.b/c@{OTHER}", False),
    ],
)
def test_plain_cases_of_containing_are_seen(wide: str, narrow: str, contains: bool) -> None:
    assert ImagePattern(wide).contains(ImagePattern(narrow)) is contains


def test_patterns_of_one_text_are_one() -> None:
    assert {ImagePattern("a.b/**"), ImagePattern("a.b/**")} == {ImagePattern("a.b/**")}
    assert ImagePattern("a.b/**") != ImagePattern("a.b/*")


HOSTS = st.sampled_from(["a.b", "**"])
PARTS = st.lists(st.sampled_from(["a", "b", "a*", "*", "**", "a?"]), min_size=1, max_size=4)
PATTERNS = st.builds(lambda host, parts: "/".join([host, *parts]), HOSTS, PARTS)


@given(PATTERNS, PATTERNS)
def test_what_contains_a_pattern_begins_as_that_does_as_far_as_it_is_plain(
    wide: str, narrow: str
) -> None:
    one, other = ImagePattern(wide), ImagePattern(narrow)
    if one.contains(other):
        assert other.beginning[: len(one.beginning)] == one.beginning
