"""Globs say what a plain reading of them says, and no pattern takes long."""

import time
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.glob import Glob

SECONDS = 5.0
"""What would take ages takes milliseconds; a slow machine is no failure."""

PATTERNS = st.text("ab*?", max_size=12)
TEXTS = st.text("ab-", max_size=16)
PARTS = st.lists(st.one_of(st.just("**"), st.text("ab*?", min_size=1, max_size=5)), max_size=6)
PATHS = st.lists(st.text("ab", min_size=1, max_size=4), min_size=1, max_size=7)


@cache
def fits(pattern: str, text: str) -> bool:
    """What a glob means, in as few words as can be."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return fits(pattern[1:], text) or (text != "" and fits(pattern, text[1:]))
    return text != "" and pattern[0] in ("?", text[0]) and fits(pattern[1:], text[1:])


@cache
def fits_path(pattern: tuple[str, ...], parts: tuple[str, ...]) -> bool:
    """The same of a path; at its end `**` stands for one part or more."""
    if not pattern:
        return not parts
    if pattern[0] == "**":
        if len(pattern) == 1:
            return bool(parts)
        return fits_path(pattern[1:], parts) or (bool(parts) and fits_path(pattern, parts[1:]))
    return bool(parts) and fits(pattern[0], parts[0]) and fits_path(pattern[1:], parts[1:])


@settings(max_examples=1_000)
@given(PATTERNS, TEXTS)
def test_it_matches_what_the_plain_reading_matches(pattern: str, text: str) -> None:
    assert Glob(pattern).matches(text) == fits(pattern, text)


def no_inner_run(parts: list[str]) -> bool:
    """Whether `**` stands alone wherever it stands."""
    return all(part == "**" or "**" not in part for part in parts)


@settings(max_examples=1_000)
@given(PARTS.filter(bool).filter(no_inner_run), PATHS)
def test_a_path_matches_what_the_plain_reading_matches(
    pattern: list[str], parts: list[str]
) -> None:
    glob = Glob("/".join(pattern), path=True)
    assert glob.matches("/".join(parts)) == fits_path(tuple(pattern), tuple(parts))


@pytest.mark.parametrize(
    ("pattern", "fitting", "other"),
    [
        ("team-a/**", ["team-a/app", "team-a/x/y"], ["team-a", "team-ab/app", "x/team-a/app"]),
        ("**/redis", ["redis", "a.b/redis", "a.b/c/redis"], ["a.b/redis/x", "a.b/aredis"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["a", "a/b", "az", "a/zz"]),
        ("a/*/z", ["a/b/z"], ["a/z", "a/b/c/z"]),
        ("a/*", ["a/b"], ["a/b/c"]),
        ("**", ["a", "a/b"], []),
        ("**/b/**/b", ["b/b", "x/b/b", "b/x/b"], ["b", "a/b"]),
        ("a.c", ["a.c"], ["abc"]),
        ("a[b]c", ["a[b]c"], ["abc"]),
        ("v?.*", ["v1.2"], ["v10.2", "v.2"]),
    ],
)
def test_in_a_path_one_star_stops_at_a_slash(
    pattern: str, fitting: list[str], other: list[str]
) -> None:
    glob = Glob(pattern, path=True)
    assert [text for text in [*fitting, *other] if glob.matches(text)] == fitting


def test_outside_of_paths_a_star_stands_for_any_characters() -> None:
    glob = Glob("system:serviceaccount:ci:*")
    assert glob.matches("system:serviceaccount:ci:build/er\nx")
    assert not glob.matches("system:serviceaccount:cd:builder")


@pytest.mark.parametrize("pattern", ["team-**", "a/**b/c", "***", "a/***"])
def test_two_stars_that_do_not_stand_alone_are_refused_in_a_path(pattern: str) -> None:
    with pytest.raises(ValueError, match="stands alone between slashes"):
        Glob(pattern, path=True)


@pytest.mark.parametrize(
    ("pattern", "path", "text"),
    [
        ("*a" * 500, False, "a" * 499 + "b" * 500),
        ("*?" * 500 + "b", False, "a" * 1_000),
        ("*" * 1_000 + "b", False, "a" * 1_000),
        ("**/a/" * 200 + "b", True, "a/" * 500 + "a"),
        ("**/*a*a*a*a*a/" * 40 + "b", True, "/".join(["a" * 60] * 100)),
        ("**/a/**/a/**/a*b", True, "/".join(["a" * 20] * 200)),
        ("a*" * 300 + "/**/" + "*a" * 300, True, "/".join(["a" * 290] * 20)),
    ],
    ids=range(7),
)
def test_no_pattern_takes_long(pattern: str, path: bool, text: str) -> None:
    begun = time.monotonic()
    assert not Glob(pattern, path=path).matches(text)
    assert time.monotonic() - begun < SECONDS


@settings(max_examples=1_000)
@given(PATTERNS, PATTERNS, TEXTS)
def test_what_a_contained_one_matches_the_wider_one_matches(
    wide: str, narrow: str, text: str
) -> None:
    if Glob(wide).contains(Glob(narrow)) and fits(narrow, text):
        assert fits(wide, text)


@settings(max_examples=1_000)
@given(PARTS.filter(bool).filter(no_inner_run), PARTS.filter(bool).filter(no_inner_run), PATHS)
def test_what_a_contained_path_matches_the_wider_one_matches(
    wide: list[str], narrow: list[str], parts: list[str]
) -> None:
    contains = Glob("/".join(wide), path=True).contains(Glob("/".join(narrow), path=True))
    if contains and fits_path(tuple(narrow), tuple(parts)):
        assert fits_path(tuple(wide), tuple(parts))


@pytest.mark.parametrize(
    ("wide", "narrow", "contains"),
    [
        ("*", "team-a", True),
        ("*", "team-*", True),
        ("team-*", "team-*", True),
        ("team-*", "team-a", True),
        ("team-*", "team-a-*", True),
        ("*-prod", "a-prod", True),
        ("team-a", "team-*", False),
        ("team-*", "*", False),
        ("team-a-*", "team-*", False),
    ],
)
def test_plain_cases_of_containing_are_seen(wide: str, narrow: str, contains: bool) -> None:
    assert Glob(wide).contains(Glob(narrow)) is contains


@pytest.mark.parametrize(
    ("wide", "narrow", "contains"),
    [
        ("**", "a.b/c", True),
        ("**", "a.b/*/**", True),
        ("a.b/**", "a.b/c", True),
        ("a.b/**", "a.b/c/*", True),
        ("a.b/**", "a.b/**/x", True),
        ("*/app", "a.b/app", True),
        ("a.b/**", "a.bc/x", False),
        ("a.b/*", "a.b/**", False),
        ("a.b/c", "a.b/**", False),
        ("**/app", "a.b/**", False),
    ],
)
def test_plain_cases_of_containing_paths_are_seen(wide: str, narrow: str, contains: bool) -> None:
    assert Glob(wide, path=True).contains(Glob(narrow, path=True)) is contains


def test_globs_of_one_text_and_kind_are_one() -> None:
    assert Glob("a*") == Glob("a*")
    assert hash(Glob("a*")) == hash(Glob("a*"))
    assert Glob("a*") != Glob("a*", path=True)
    assert Glob("a*") != "a*"
