"""How expressions of Anchore's admission controller are read as globs, and which are not read."""

import pytest

from services.cli.rules.controller.regexes import UNREAD, Reading, read_regex


@pytest.mark.parametrize(
    ("expression", "globs"),
    [
        ("^app$", ["app"]),
        ("app", ["*app*"]),
        ("^app", ["app*"]),
        ("app$", ["*app"]),
        ("", ["*"]),
        ("^$", [""]),
        (".*", ["*"]),
        ("^a.*$", ["a*"]),
        ("^a.+$", ["a?*"]),
        ("^a.*?b.+?$", ["a*b?*"]),
        ("^a.c$", ["a?c"]),
        (r"^a\.c\-d$", ["a.c-d"]),
        ("^a b$", ["a b"]),
        ("^a?b$", ["b", "ab"]),
        ("^.?b$", ["b", "?b"]),
        ("^a??$", ["", "a"]),
        ("^a|b$", ["a*", "*b"]),
        ("^(a|b)(c|d)$", ["ac", "ad", "bc", "bd"]),
        ("^(?:a|a)$", ["a"]),
        ("(^|/)app$", ["app", "*/app"]),
        ("^a[.]b$", ["a.b"]),
        ("^()$", [""]),
    ],
)
def test_what_globs_can_say_is_read_exactly(expression: str, globs: list[str]) -> None:
    assert read_regex(expression) == Reading(tuple(globs), exact=True)


@pytest.mark.parametrize(
    ("expression", "glob"),
    [
        ("^[ab]$", "?"),
        ("^[a-z]c$", "?c"),
        ("^[^a]$", "?"),
        ("^[^ab]$", "?"),
        ("^[]a]$", "?"),
        ("^[^]a]b$", "?b"),
        ("^[*]$", "?"),
        ("^[?]$", "?"),
        (r"^v\d$", "v?"),
        (r"^v\w$", "v?"),
        ("^a*$", "*"),
        ("^a+$", "*"),
        ("^.{2}$", "*"),
        ("^a{2,3}b$", "*b"),
        ("^a{2}?b$", "*b"),
        ("^a{0,}b$", "*b"),
        ("^a{10}b$", "*b"),
        ("^(ab)*c$", "*c"),
        ("^[ab]+c$", "?*c"),
        ("^[a-z].*$", "?*"),
    ],
)
def test_what_is_about_more_than_the_expression_is_said_to_be(expression: str, glob: str) -> None:
    assert read_regex(expression) == Reading((glob,), exact=False)


@pytest.mark.parametrize(
    "expression",
    [
        *("(?i)a", "(?P<n>a)", "(a", "a)", "(", ")", "[a", "[", "[]", "[^]", "[^", "{", "a|*"),
        *(
            r"\s",
            r"\b",
            r"\A",
            r"\pL",
            r"\*",
            r"\?",
            r"\é",
            "a\\",
            "[[:alpha:]]",
            r"[\d]",
            r"[\]a]",
        ),
        *(
            "*",
            "+a",
            "?",
            "a**",
            "a*+",
            "a{2}{3}",
            "a???",
            "}",
            "^*",
            "(^a)*",
            "(a$)?",
            "a^b",
            "a$b",
        ),
        *("a\x02", "\x03a", "a\nb", "(a|b|c|d|e)(f|g|h|i)", "a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q"),
        *("(" * 9 + "a" + ")" * 9, "a" * 4097, "(a|b|c|d)" + "x" * 500_000),
    ],
)
def test_what_globs_cannot_say_may_match_anything(expression: str) -> None:
    assert read_regex(expression) == UNREAD == Reading(("*",), exact=False)


@pytest.mark.parametrize(
    "braces", ["{", "{2", "{2,", "{}", "{,}", "{,3}", "{x}", "{2,x}", "{02}", "{ 2}", "{-1}", "{²}"]
)
def test_braces_that_repeat_nothing_are_texts_and_hide_no_alternative(braces: str) -> None:
    # Tried with Go 1.26: `^a{|c}d$` is `^a{`, or `c}d$`.
    for expression in (f"^a{braces}|c$", f"^a{braces}b}}$", f"^a{braces}|c}}d$"):
        assert read_regex(expression) == UNREAD


@pytest.mark.parametrize("expression", ["[\x02]a", "\\\x02a", "[\x03]"])
def test_a_sign_that_cannot_be_printed_anchors_nothing(expression: str) -> None:
    assert read_regex(expression) == UNREAD


def test_as_many_alternatives_and_groups_as_there_may_be_are_read() -> None:
    assert len(read_regex("^(a|b|c|d)(e|f|g|h)$").globs) == 16
    assert read_regex(f"^{'(' * 8}a{')' * 8}$").literals == ("a",)
    assert read_regex("a" * 4096).exact


@pytest.mark.parametrize(
    "expression", ["^a|b$", "^(a|b.*)$", "^a.c$", "^a.*$", "^[ab]$", "app", ".*", "(?i)a"]
)
def test_texts_are_only_named_where_there_are_no_others(expression: str) -> None:
    assert read_regex(expression).literals == ()
    assert read_regex("^(a|b)$").literals == ("a", "b")
