"""Which images and namespaces an expression is about, in the patterns of rules."""

import pytest

from services.cli.rules.controller.areas import (
    EVERYTHING,
    NOTHING,
    About,
    Area,
    images_of,
    namespaces_of,
)
from services.cli.rules.controller.regexes import read_regex


def images(expression: str) -> About:
    return images_of(read_regex(expression))


def namespaces(expression: str) -> About:
    return namespaces_of(read_regex(expression))


def both(*patterns: str) -> About:
    area = Area(patterns)
    return About(area, area)


@pytest.mark.parametrize(
    ("expression", "patterns"),
    [
        (r"^registry\.corp/team/", ["registry.corp/team/**"]),
        (r"^registry\.corp/.*$", ["registry.corp/**"]),
        (r"^corp:5000/.*", ["corp:5000/**"]),
        ("^localhost/", ["localhost/**"]),
        ("^team/", ["docker.io/team/**"]),
        (r"^docker\.io/.*", ["docker.io/**"]),
        (r"^docker\.io/nginx.*", ["docker.io/library/nginx*", "docker.io/nginx*/**"]),
        (r"^index\.docker\.io/team/", ["docker.io/team/**"]),
        ("library/", ["**/*library/**"]),
        (r"\.corp/", ["**/*.corp/**"]),
        ("corp:5000/", ["*corp:5000/**"]),
        (r"^quay\.io/a/|^quay\.io/", ["quay.io/**"]),
        (r"^quay\.io/.*/app/", ["quay.io/*/app/**", "quay.io/*/**/*/app/**"]),
        (r"^quay\.io/team-.*", ["quay.io/team-*", "quay.io/team-*/**"]),
        (r"^.*[.]corp:5000/a/", ["*.corp:5000/a/**"]),
        (r"^quay\.io/(.*|.*.*)/x/", ["quay.io/*/x/**", "quay.io/*/**/*/x/**"]),
    ],
)
def test_what_ends_anywhere_behind_a_slash_is_exactly_a_pattern_of_images(
    expression: str, patterns: list[str]
) -> None:
    assert images(expression) == both(*patterns)


@pytest.mark.parametrize(
    "expression",
    [
        r"^registry\.corp/team/app$",
        r"^registry\.corp/team/app:",
        r"^registry\.corp/team/app:1.*",
        r"^registry\.corp/team/app@sha256:.*$",
        r"^REGISTRY\.corp/team/app$",
        r"^REGISTRY\.corp/team/app.?$",
    ],
)
def test_what_depends_on_a_tag_a_digest_or_capital_letters_is_surely_about_nothing(
    expression: str,
) -> None:
    about = images(expression)
    assert about.surely == NOTHING
    assert "registry.corp/team/app" in about.perhaps.patterns


def test_capital_letters_are_of_a_host_that_any_spelling_reaches() -> None:
    # Of `registry.corp/a` only the spelling `REGISTRY.corp/a` is matched.
    about = images(r"^REGISTRY\.corp/.*")
    assert (about.surely, about.perhaps.patterns) == (NOTHING, ("registry.corp/**",))


def test_a_digest_that_an_expression_names_chooses_nothing() -> None:
    digest = "sha256:" + "0a" * 32
    about = images(f"^a[.]b/c@{digest}.*")
    assert (about.surely, about.perhaps.patterns) == (NOTHING, ("a.b/c",))


@pytest.mark.parametrize("expression", [".*", "", ".+", "^.*$", "^.*/.*"])
def test_what_every_image_has_a_spelling_for_is_everything(expression: str) -> None:
    assert images(expression).perhaps == EVERYTHING


@pytest.mark.parametrize("expression", [".*", "", ".+", "^.*$"])
def test_what_matches_whatever_is_not_empty_is_surely_everything(expression: str) -> None:
    assert images(expression).surely == EVERYTHING
    assert namespaces(expression) == About(EVERYTHING, EVERYTHING)


@pytest.mark.parametrize("expression", ["latest$", ":latest$", "nginx", "sha256", "^[^/]+$", "*"])
def test_what_a_tag_or_a_digest_may_match_is_perhaps_about_everything(expression: str) -> None:
    about = images(expression)
    assert about.perhaps == EVERYTHING
    assert about.surely != EVERYTHING


def test_a_name_without_a_slash_is_of_the_official_repositories_and_of_hosts() -> None:
    about = images("^nginx")
    assert about.surely == Area(("docker.io/library/nginx*", "nginx*/**"))
    assert about.perhaps == Area(("docker.io/library/nginx*", "nginx*/**", "docker.io/nginx*/**"))


def test_a_dot_without_a_backslash_may_be_a_slash() -> None:
    about = images("^gcr.io/")
    assert about.surely == Area(("gcr?io/**", "docker.io/gcr/io/**"))
    assert about.perhaps == Area(("gcr?io/**", "docker.io/gcr?io/**", "docker.io/gcr/io/**"))


def test_what_would_need_too_many_patterns_is_perhaps_about_everything() -> None:
    assert images("^" + "." * 60) == About(NOTHING, EVERYTHING)
    alternatives = "(a|b|c|d)/(e|f|g|h)"
    assert len(images(f"^{alternatives}.*").perhaps.patterns) == 32
    assert images(f"^x.y.z.{alternatives}.*") == About(NOTHING, EVERYTHING)


@pytest.mark.parametrize(
    ("expression", "patterns"),
    [
        ("^prod$", ["prod"]),
        ("prod", ["*prod*"]),
        ("^prod-", ["prod-*"]),
        ("^(prod|dev)$", ["prod", "dev"]),
        ("^(prod|a_b)$", ["prod"]),
        ("^A$", []),
        ("^$", []),
    ],
)
def test_namespaces_are_named_by_what_may_be_a_name(expression: str, patterns: list[str]) -> None:
    assert namespaces(expression) == both(*patterns)


def test_what_globs_say_of_a_namespace_in_too_wide_a_way_is_only_perhaps() -> None:
    assert namespaces("^team-[0-9]$") == About(NOTHING, Area(("team-?",)))
    assert namespaces("^[a-z]+$") == About(NOTHING, EVERYTHING)
    assert namespaces("^(prod|.*)$") == About(EVERYTHING, EVERYTHING)
