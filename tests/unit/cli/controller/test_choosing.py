"""What a selector is about: surely, by what an author writes, perhaps, and what no rule can see."""

from collections.abc import Sequence
from typing import Any

import pytest

from services.cli.rules.controller.choosing import (
    ANYWHERE,
    DOTS,
    LABELS_ONLY,
    NAMES_ONLY,
    NOT_EXACT,
    OF_PODS,
    POD_WORD,
    TAGS,
    Chosen,
    Words,
    chosen_by,
)
from services.cli.rules.controller.files import Selector

EVERYTHING: list[Words] = [{}]


def chosen(kind: str, key: str, value: str) -> Chosen:
    return chosen_by(Selector(number=1, kind=kind, key=key, value=value, mode="policy"))


def of_namespaces(**labels: str) -> list[Words]:
    return [{"namespaceLabels": {key: text}} for key, text in labels.items()]


def by_author(**texts: str) -> list[Words]:
    return [
        {word: {key: text}} for word in ("labels", "annotations") for key, text in texts.items()
    ]


@pytest.mark.parametrize("kind", ["namespace", "resource", "pod", "image", ""])
@pytest.mark.parametrize("key", ["name", "NAME"])
@pytest.mark.parametrize("value", ["", ".*", "^.*$", "a|.*"])
def test_what_matches_every_name_is_about_everything(kind: str, key: str, value: str) -> None:
    found = chosen(kind, key, value)
    assert found == Chosen(everything=True)
    assert not found.nothing


@pytest.mark.parametrize("key", ["^name$", "names", "^app$", ".*"])
@pytest.mark.parametrize("kind", ["namespace", "resource", "pod"])
def test_of_another_key_than_name_any_value_is_not_everything(kind: str, key: str) -> None:
    # It has to be there.
    found = chosen(kind, key, ".*")
    assert (found.everything, found.surely, list(found.perhaps)) == (False, (), EVERYTHING)
    assert found.why_perhaps == NOT_EXACT


@pytest.mark.parametrize(
    ("value", "surely", "perhaps"),
    [
        ("^prod$", ["prod"], []),
        ("^(prod|dev)$", ["prod", "dev"], []),
        ("^prod-", ["prod-*"], []),
        ("^[pd]$", [], ["?"]),
        ("^(a_b|A)$", [], []),
    ],
)
def test_namespaces_by_name_are_patterns_and_their_labels_a_doubt(
    value: str, surely: list[str], perhaps: list[str]
) -> None:
    found = chosen("namespace", "name", value)
    assert list(found.surely) == ([{"namespaces": surely}] if surely else [])
    assert list(found.perhaps) == ([{"namespaces": perhaps}] if perhaps else [])
    assert found.doubts == (NAMES_ONLY,)
    assert not perhaps or found.why_perhaps == NOT_EXACT


@pytest.mark.parametrize("kind", ["namespace", "resource", "pod", "image"])
def test_a_name_that_globs_cannot_say_is_perhaps_everybodys(kind: str) -> None:
    found = chosen(kind, "name", "(?i)prod")
    assert (found.everything, found.surely, list(found.perhaps)) == (False, (), EVERYTHING)


@pytest.mark.parametrize(
    ("key", "value", "surely"),
    [
        ("^app$", "^prod$", of_namespaces(app="prod")),
        ("^name$", "^prod$", of_namespaces(name="prod")),
        ("^app$", "^$", of_namespaces(app="")),
        ("^(app|tier)$", "^prod$", of_namespaces(app="prod", tier="prod")),
        ("^(app|a b)$", "^x$", of_namespaces(app="x")),
        # No label has such a value, an annotation may.
        ("^app$", "^A B$", []),
    ],
)
def test_labels_of_namespaces_that_are_named_are_sure_and_annotations_a_doubt(
    key: str, value: str, surely: list[Words]
) -> None:
    found = chosen("namespace", key, value)
    assert (list(found.surely), found.perhaps) == (surely, ())
    assert found.doubts == (LABELS_ONLY,)


ANYWHERES = [
    ("app", "^prod$", {"app": "prod"}, ANYWHERE),
    ("^app$", "prod", {"app": "prod"}, ANYWHERE),
    ("^app", "prod$", {"app": "prod"}, ANYWHERE),
    ("^app|^tier$", "^x$", {"app": "x", "tier": "x"}, ANYWHERE),
    ("^app$", "^(x|a.*c)$", {"app": "x"}, ANYWHERE),
    ("^app$", "^(x|.*)$", {"app": "x"}, ANYWHERE),
    ("^app$", "^a.c$", {}, NOT_EXACT),
    ("^a.*p$", "^x$", {}, NOT_EXACT),
    ("^app$", "^[xy]$", {}, NOT_EXACT),
    ("^ap[pq]$", "^x$", {}, NOT_EXACT),
    ("^app$", "^x?.$", {}, NOT_EXACT),
    (".*", "^x$", {}, NOT_EXACT),
    ("^app$", "^a{2}b$", {}, NOT_EXACT),
    ("^a{2}b$", "^x$", {}, NOT_EXACT),
    ("^app$", "(?i)x", {}, NOT_EXACT),
    ("(?i)app", "^x$", {}, NOT_EXACT),
]


@pytest.mark.parametrize(("key", "value", "named", "why"), ANYWHERES)
def test_what_matches_more_than_it_names_is_perhaps_everything(
    key: str, value: str, named: dict[str, str], why: str
) -> None:
    of_namespace, of_object = chosen("namespace", key, value), chosen("resource", key, value)
    assert list(of_namespace.surely) == of_namespaces(**named)
    assert list(of_object.by_author) == by_author(**named)
    for found in (of_namespace, of_object):
        assert list(found.perhaps) == EVERYTHING
        assert found.why_perhaps == why
    # What is asked of all is asked of annotations of namespaces, too.
    assert of_namespace.doubts == ()
    assert of_object.doubts == ((OF_PODS,) if named else ())


@pytest.mark.parametrize(
    ("key", "value", "written"),
    [
        ("^app$", "^prod$", by_author(app="prod")),
        ("^(app|tier)$", "^prod$", by_author(app="prod", tier="prod")),
        ("^app$", "^A B$", [{"annotations": {"app": "A B"}}]),
        ("^app$", "^$", by_author(app="")),
    ],
)
def test_what_an_author_writes_is_on_the_pod_or_a_doubt(
    key: str, value: str, written: list[Words]
) -> None:
    found = chosen("resource", key, value)
    assert (found.surely, list(found.by_author), found.perhaps) == ((), written, ())
    assert (found.doubts, found.notes) == ((OF_PODS,), ())


def test_the_name_of_an_object_is_no_word_of_rules() -> None:
    found = chosen("resource", "name", "^prod$")
    assert list(found.by_author) == by_author(name="prod")
    assert (list(found.perhaps), found.why_perhaps) == (EVERYTHING, ANYWHERE)


@pytest.mark.parametrize(
    ("key", "value", "written", "perhaps", "why"),
    [
        ("^app$", "^x$", by_author(app="x"), [{"images": ["docker.io/library/x"]}], POD_WORD),
        ("^a b$", "^x$", [], [{"images": ["docker.io/library/x"]}], POD_WORD),
        ("app", "^x$", by_author(app="x"), EVERYTHING, ANYWHERE),
        ("name", "^x$", by_author(name="x"), EVERYTHING, ANYWHERE),
        ("^app$", "^A B$", [{"annotations": {"app": "A B"}}], [], ""),
    ],
)
def test_pod_is_what_an_author_writes_and_perhaps_the_image(
    key: str, value: str, written: list[Words], perhaps: list[Words], why: str
) -> None:
    found = chosen("pod", key, value)
    assert (list(found.by_author), list(found.perhaps)) == (written, perhaps)
    assert not perhaps or found.why_perhaps == why
    assert found.notes == (POD_WORD,)


@pytest.mark.parametrize("kind", ["image", "Resource", "Pod", "deployment", ""])
@pytest.mark.parametrize(
    ("value", "surely", "perhaps", "why"),
    [
        (r"^quay\.io/", ["quay.io/**"], [], ""),
        (r"^quay\.io/app$", [], [{"images": ["quay.io/app"]}], TAGS),
        (r"^quay\.io/[ab]/", [], [{"images": ["quay.io/?/**"]}], NOT_EXACT),
        ("nginx", ["**/*nginx*", "**/*nginx*/**"], EVERYTHING, TAGS),
        ("(?i)nginx", [], EVERYTHING, NOT_EXACT),
    ],
)
def test_every_other_type_is_about_images_whatever_its_key(
    kind: str, value: str, surely: list[str], perhaps: list[Words], why: str
) -> None:
    found = chosen(kind, "^app$", value)
    assert list(found.surely) == ([{"images": surely}] if surely else [])
    assert list(found.perhaps) == perhaps
    assert not perhaps or found.why_perhaps == why
    assert (found.by_author, found.doubts, found.notes) == ((), (), ())


@pytest.mark.parametrize(
    ("value", "notes"),
    [("^gcr.io/", [DOTS]), (r"^gcr\.io/", []), (r"^gcr\.io/.*/a/", []), ("^gcr.io/a$", [])],
)
def test_a_dot_that_stands_for_any_sign_is_told_where_a_rule_says_so(
    value: str, notes: Sequence[Any]
) -> None:
    assert list(chosen("image", "", value).notes) == notes


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("image", "", "^$"),
        ("namespace", "^a b$", "^x$"),
        ("namespace", "^$", "^x$"),
        ("resource", "^a b$", "^x$"),
    ],
)
def test_what_can_be_nowhere_is_about_nothing(kind: str, key: str, value: str) -> None:
    assert chosen(kind, key, value).nothing


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("image", "", ".*"),
        ("image", "", r"^quay\.io/"),
        ("image", "", r"^quay\.io/app$"),
        ("resource", "^app$", "^x$"),
        ("namespace", "^app$", "^A B$"),
    ],
)
def test_what_may_be_somewhere_is_about_something(kind: str, key: str, value: str) -> None:
    assert not chosen(kind, key, value).nothing
