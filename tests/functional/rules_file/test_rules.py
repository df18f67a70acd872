"""Rules in the file: which are taken, and which would mean less than they say."""

from pathlib import Path

import pytest

from shared.domain.rules import Mode, Rule
from tests.functional.rules_file.files import HEAD, read, refused

NO_MATCH = "match: {namespaces: [x]}"
LABELLED = "match: {labels: {a: b}}"


def rules(*entries: str) -> str:
    """The list, an entry two lines or more: its name, and what is given."""
    return "rules:\n" + "".join(
        f"- name: r{at}\n  " + entry.replace("\n", "\n  ") + "\n"
        for at, entry in enumerate(entries)
    )


def one(file: Path, entry: str) -> Rule:
    (rule,) = read(file, HEAD + rules(entry)).rules
    return rule


def test_what_is_left_out_of_a_rule_is_strict(file: Path) -> None:
    rule = one(file, NO_MATCH)
    assert rule == Rule(name="r0", match=rule.match)
    assert rule.mode is Mode.ENFORCE


# Names


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("default", "'default' is what holds where no rule matches"),
        ("", "must be 1 to 63 printable characters"),
        ("a" * 64, "must be 1 to 63 printable characters"),
        ('"a\\tb"', "must be 1 to 63 printable characters"),
        ("' a'", "has blanks around it"),
        ("12", "must be a text, not a number; put it in quotes"),
    ],
)
def test_a_name_can_be_told_from_others(file: Path, name: str, said: str) -> None:
    refused(file, f"rules:\n- name: {name or repr('')}\n  {NO_MATCH}\n", said, line=3)


def test_two_rules_have_two_names(file: Path) -> None:
    body = f"rules:\n- name: a\n  {NO_MATCH}\n- name: a\n  match: {{namespaces: [y]}}\n"
    refused(file, body, r"rules\[1\]\.name: 'a' stands above", line=5)


def test_a_rule_has_a_name(file: Path) -> None:
    refused(file, f"rules:\n- {NO_MATCH}\n", r"rules\[0\]: the key 'name' is missing", line=3)


# Matches


def test_a_rule_says_what_it_is_about(file: Path) -> None:
    refused(file, "rules:\n- name: a\n", "the key 'match' is missing.*`default`", line=3)
    refused(file, rules("match: {}"), r"match: names nothing.*`default`", line=4)
    refused(file, rules("match:"), "must be a mapping, not nothing", line=4)
    refused(file, rules("match: {namespaces: []}"), "if it has none, leave it out", line=4)
    refused(file, rules("match: {labels: {}}"), "if it has none, leave it out", line=4)
    refused(file, "rules: []\n", "if it has none, leave it out", line=2)


@pytest.mark.parametrize("pattern", ["Team", "team_a", "team-", "-team", "a.b", "te[a]m", "é"])
def test_a_pattern_that_no_namespace_fits_is_refused(file: Path, pattern: str) -> None:
    body = rules(f"match: {{namespaces: [x, '{pattern}']}}")
    refused(file, body, r"match\.namespaces\[1\]: .*can match no namespace", line=4)


@pytest.mark.parametrize("pattern", ["redis", "team/app", "docker.io/redis", "a.b/C", "a.b/x[12]"])
def test_a_pattern_that_no_image_fits_is_refused(file: Path, pattern: str) -> None:
    body = rules(f"match: {{images: ['{pattern}']}}")
    refused(file, body, r"match\.images\[0\]: .*can match no", line=4)


@pytest.mark.parametrize("kind", ["Node", "pod", "Deployments", "Service"])
def test_a_kind_that_makes_no_pods_is_refused(file: Path, kind: str) -> None:
    body = rules(f"match: {{kinds: [{kind}]}}")
    refused(file, body, rf"match\.kinds\[0\]: '{kind}' is not one of Pod, Deployment", line=4)


@pytest.mark.parametrize("where", ["labels", "annotations", "namespaceLabels"])
@pytest.mark.parametrize("key", ["-a", "a b", "a/b/c", "Team.corp/a", "/a", "a" * 64, "ü"])
def test_a_key_that_no_object_has_is_refused(file: Path, where: str, key: str) -> None:
    body = rules(f"match: {{{where}: {{'{key}': x}}}}")
    refused(file, body, "no key of labels and annotations", line=4)


@pytest.mark.parametrize("where", ["labels", "namespaceLabels"])
@pytest.mark.parametrize("value", ["a b", "-a", "a/b", "a" * 64])
def test_a_value_that_no_label_has_is_refused(file: Path, where: str, value: str) -> None:
    body = rules(f"match: {{{where}: {{a: '{value}'}}}}")
    refused(file, body, rf"match\.{where}\.a: .* is no label's value", line=4)


def test_an_annotation_says_anything_and_a_label_may_be_empty(file: Path) -> None:
    match = one(file, "match: {annotations: {a: 'x y/z', b: ''}, labels: {c: ''}}").match
    assert match.annotations == (("a", "x y/z"), ("b", ""))
    assert match.labels == (("c", ""),)


def test_a_value_that_yaml_takes_for_another_is_to_be_quoted(file: Path) -> None:
    body = rules("match: {labels: {pci: true}}")
    refused(file, body, r"labels\.pci: must be a text, not true or false; put it in quotes", line=4)


def test_labels_that_stand_twice_are_refused(file: Path) -> None:
    refused(file, rules("match: {labels: {a: b, a: c}}"), "this key stands twice", line=4)


# Tags


@pytest.mark.parametrize("mode", [mode for mode in Mode if mode is not Mode.DENY])
def test_only_a_rule_that_denies_may_tell_images_by_tags(file: Path, mode: Mode) -> None:
    body = rules(f"match: {{images: ['a.b/**', 'a.b/c:v1']}}\nmode: {mode}")
    refused(file, body, r"match\.images\[1\]: 'a\.b/c:v1' names a tag.*made up", line=4)
    assert one(file, "match: {images: ['a.b/c:v1']}\nmode: deny").mode is Mode.DENY


# What would mean nothing


@pytest.mark.parametrize("mode", [Mode.ALLOW, Mode.DENY])
@pytest.mark.parametrize(
    "term", ["require: policy", "policy: {id: x}", "turnGrace: 1h", "pin: none", "tags: allow"]
)
def test_what_would_mean_nothing_is_refused(file: Path, mode: Mode, term: str) -> None:
    said = rf"{term.partition(':')[0]}: means nothing with mode {mode}"
    refused(file, rules(f"{NO_MATCH}\nmode: {mode}\n{term}"), said, line=6)
    refused(file, f"default:\n  mode: {mode}\n  {term}\n", said, line=4)


# What an author writes


@pytest.mark.parametrize("match", ["labels: {a: b}", "annotations: {a: b}", "kinds: [Pod]"])
@pytest.mark.parametrize("mode", [Mode.WARN, Mode.AUDIT, Mode.ALLOW])
def test_what_an_author_writes_never_chooses_a_laxer_mode(
    file: Path, match: str, mode: Mode
) -> None:
    body = rules(f"match: {{{match}, namespaces: [x]}}\nmode: {mode}")
    refused(file, body, rf"mode: {mode}: .*only adds a demand.*enforce or deny", line=5)


@pytest.mark.parametrize("term", ["turnGrace: 1h", "pin: none", "tags: allow"])
def test_what_an_author_writes_never_makes_a_rule_laxer(file: Path, term: str) -> None:
    said = rf"{term.partition(':')[0]}: .*only adds a demand"
    refused(file, rules(f"{LABELLED}\n{term}"), said, line=5)


def test_what_an_author_writes_may_make_a_rule_stricter(file: Path) -> None:
    rule = one(file, f"{LABELLED}\nrequire: analysis\npolicy: {{id: x}}\npin: pods\ntags: pinned")
    assert rule.match.by_author
    assert one(file, f"{LABELLED}\nmode: deny").mode is Mode.DENY


# Rules that are never reached


@pytest.mark.parametrize(
    ("above", "below"),
    [
        ("{namespaces: [x]}", "{namespaces: [x]}"),
        ("{namespaces: [x, y]}", "{namespaces: [y]}"),
        ("{namespaces: [team-*]}", "{namespaces: [team-a, team-b-*]}"),
        ("{namespaces: ['*']}", "{images: ['a.b/**']}"),
        ("{images: ['**']}", "{users: [x]}"),
        ("{images: ['a.b/**']}", "{images: ['a.b/c/*'], namespaces: [x]}"),
        ("{images: [c.d/e, 'a.b/c/*', 'f.g/**']}", "{images: ['f.g/h', 'a.b/c/*', c.d/e]}"),
        ("{images: [x.y/z, '**/e']}", "{images: [c.d/e]}"),
        ("{namespaceLabels: {a: b}}", "{namespaceLabels: {c: d, a: b}}"),
        ("{users: ['system:*']}", "{users: ['system:serviceaccount:*']}"),
    ],
)
def test_a_rule_that_is_never_reached_is_refused(file: Path, above: str, below: str) -> None:
    body = rules(f"match: {above}\nmode: allow", f"match: {below}\nmode: deny")
    refused(file, body, r"rules\[1\]: is never reached: 'r0' above .* narrower one first", line=6)


@pytest.mark.parametrize(
    ("above", "below"),
    [
        ("{namespaces: [x]}", "{namespaces: [x, y]}"),
        ("{namespaces: [x]}", "{users: [y]}"),
        ("{namespaceLabels: {a: b}}", "{namespaceLabels: {a: c}}"),
        ("{images: [c.d/e, 'f.g/**']}", "{images: ['f.g/h', 'a.b/c/*']}"),
        ("{images: ['a.b/**']}", "{namespaces: [x]}"),
        ("{labels: {a: b}}", "{labels: {a: b}}"),
        ("{kinds: [Pod]}", "{kinds: [Pod], namespaces: [x]}"),
    ],
)
def test_a_rule_that_can_be_reached_is_taken(file: Path, above: str, below: str) -> None:
    assert len(read(file, HEAD + rules(f"match: {above}", f"match: {below}")).rules) == 2


def test_a_thousand_rules_are_read_and_one_more_is_not(file: Path) -> None:
    entries = [
        f"match: {{namespaces: ['n{at}-*'], images: ['a.b/{at}/**']}}" for at in range(1_000)
    ]
    assert len(read(file, HEAD + rules(*entries)).rules) == 1_000
    refused(file, rules(*entries, NO_MATCH), "more than 1000 rules")


# Durations and choices


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("24", "24 of what. Add the unit: 24s, 24m, 24h, 24d"),
        ("'0'", "0 of what"),
        ("1h30m", "must be a duration, .* such as 24h or 90m, not '1h30m'"),
        ("24 h", "must be a duration"),
        ("-1h", "must be a duration"),
        ("1.5h", "must be a duration"),
        ("24H", "must be a duration"),
        ("24:00", "must be a duration"),
        ("", "must be a duration, .*not nothing"),
        ("[1h]", "must be a duration, .*not a list"),
        ("8d", "must be 7d at most"),
        ("169h", "must be 7d at most"),
        ("9999999999d", "must be a duration"),
    ],
)
def test_a_duration_has_one_unit_and_is_a_week_at_most(file: Path, written: str, said: str) -> None:
    refused(file, f"default:\n  turnGrace: {written}\n", f"default.turnGrace: {said}", line=3)


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [("0s", 0), ("90s", 90_000), ("90m", 5_400_000), ("'24h'", 86_400_000), ("7d", 604_800_000)],
)
def test_a_duration_is_read(file: Path, written: str, milliseconds: int) -> None:
    assert (
        read(file, f"{HEAD}default: {{turnGrace: {written}}}\n").default.turn_grace == milliseconds
    )


@pytest.mark.parametrize(
    ("term", "said"),
    [
        ("pin: all", "'all' is not one of pods, none"),
        ("pin: pod", "the nearest valid one is 'pods'"),
        ("tags: pin", "'pin' is not one of pinned, allow"),
        ("policy: {id: bündle}", r"policy\.id: has characters outside ASCII"),
    ],
)
def test_a_term_of_a_rule_is_one_of_a_few(file: Path, term: str, said: str) -> None:
    refused(file, rules(f"{NO_MATCH}\n{term}"), said, line=5)
