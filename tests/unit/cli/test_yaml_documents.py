"""Documents that somebody hands over: aliases are taken, and cannot stand for more than fits."""

import pytest

from services.cli.yaml_documents import MOST, NoYaml, documents, objects_in

NESTED = "a0: &a0 [x, x]\n" + "".join(
    f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 9)}]\n" for at in range(1, 40)
)


def test_an_alias_is_what_its_anchor_holds() -> None:
    assert list(documents("a: &a {b: 1}\nc: [*a, *a]\n---\n---\nd: 4\n")) == [
        {"a": {"b": 1}, "c": [{"b": 1}, {"b": 1}]},
        None,
        {"d": 4},
    ]


@pytest.mark.parametrize(
    "text",
    [
        NESTED,
        f"long: &long {'x' * 2**16}\nmany: [{', '.join(['*long'] * 100)}]",
        f"one: &one {{a: {'x' * 2**16}}}\nof: {{{', '.join(f'k{at}: *one' for at in range(100))}}}",
        "itself: &itself [*itself]",
        "itself: &itself {a: *itself}",
    ],
)
def test_aliases_that_stand_for_too_much_are_refused_before_anything_is_made_of_them(
    text: str,
) -> None:
    with pytest.raises(NoYaml, match="its aliases stand for more than 4194304 characters: write"):
        list(documents(text))


def test_what_is_long_without_aliases_is_read_and_so_is_one_alias_beside_it() -> None:
    text = f"long: {'x' * 2 * MOST}\na: &a 1\nb: *a"
    assert list(documents(text)) == [{"long": "x" * 2 * MOST, "a": 1, "b": 1}]


def test_what_comes_before_a_broken_document_is_read() -> None:
    read = documents("a: 1\n---\nb: [")
    assert next(read) == {"a": 1}
    with pytest.raises(NoYaml) as error:
        next(read)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", [b"\xff\xfe\xff", "[" * 100_000, "!!python/name:os.system ''"])
def test_what_is_no_yaml_is_said_in_one_way(text: str | bytes) -> None:
    with pytest.raises(NoYaml):
        list(documents(text))


def test_items_of_a_list_of_one_kind_are_of_that_kind() -> None:
    listed = {"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {}}, 5]}
    assert list(objects_in(listed)) == [{"apiVersion": "v1", "kind": "Pod", "metadata": {}}, 5]
    assert list(objects_in({"kind": "List", "items": [listed, {"kind": "Job"}]})) == [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {}},
        5,
        {"kind": "Job"},
    ]
    assert list(objects_in({"kind": "List", "items": 3})) == [3]
    assert list(objects_in({"kind": "AllowList"})) == [{"kind": "AllowList"}]
