"""A policy says the same in both forms; what one of them cannot say is an error with its place."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import InvalidPolicy
from shared.domain.policy import Bundle
from shared.domain.policy_forms import Form, converted, form_of
from tests.fakes.anchore_replay import recording

BASELINE: Bundle = {
    "id": "b",
    "name": "B",
    "comment": "four rules",
    "version": "1_0",
    "policies": [
        {
            "id": "p",
            "name": "P",
            "version": "1_0",
            "rules": [
                {
                    "id": "r",
                    "gate": "packages",
                    "trigger": "blacklist",
                    "action": "STOP",
                    "params": [{"name": "name", "value": "openssh-server"}],
                },
                {
                    "id": "u",
                    "gate": "dockerfile",
                    "trigger": "effective_user",
                    "action": "WARN",
                    "params": [
                        {"name": "users", "value": "blacklist"},
                        {"name": "type", "value": "blacklist"},
                    ],
                },
            ],
        }
    ],
    "whitelists": [
        {
            "id": "w",
            "name": "W",
            "comment": "c",
            "version": "1_0",
            "items": [{"id": "i", "gate": "vulnerabilities", "trigger_id": "CVE-1+*"}],
        }
    ],
    "mappings": [
        {
            "id": "m",
            "name": "M",
            "registry": "*",
            "repository": "team/*",
            "image": {"type": "tag", "value": "*"},
            "policy_id": "p",
            "whitelist_ids": ["w"],
        }
    ],
    "whitelisted_images": [],
    "blacklisted_images": [
        {
            "id": "x",
            "name": "X",
            "registry": "r",
            "repository": "s",
            "image": {"type": "digest", "value": "sha256:1"},
        }
    ],
}

TEXTS = st.text(min_size=1, max_size=8)
TRIGGERS = st.sampled_from(
    [
        ("packages", "blacklist"),
        ("vulnerabilities", "blacklist"),
        ("vulnerabilities", "package"),
        ("ruby_gems", "blacklist"),
        ("licenses", "blacklist_partial_match"),
        ("passwd_file", "blacklist_shells"),
        ("dockerfile", "exposed_ports"),
        ("always", "always"),
    ]
)
PARAMS = st.one_of(
    st.builds(lambda name, value: {"name": f"p{name}", "value": value}, TEXTS, st.text(max_size=8)),
    st.sampled_from(["blacklist", "whitelist"]).map(lambda kind: {"name": "type", "value": kind}),
)


def with_ids(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The ids of a list are each its own."""
    return [{**part, "id": f"{number}-{part['id']}"} for number, part in enumerate(parts)]


def lists_of(part: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(part, max_size=3).map(with_ids)


def optional(key: str, value: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, str]]:
    return st.one_of(st.just({}), value.map(lambda text: {key: text}))


RULES = st.builds(
    lambda identity, trigger, action, params: {
        "id": identity,
        "gate": trigger[0],
        "trigger": trigger[1],
        "action": action,
        "params": params,
    },
    TEXTS,
    TRIGGERS,
    st.sampled_from(["GO", "WARN", "STOP"]),
    st.lists(PARAMS, max_size=3),
)
POLICIES = st.builds(
    lambda identity, name, comment, rules: {
        "id": identity,
        "name": name,
        **comment,
        "version": "1_0",
        "rules": rules,
    },
    TEXTS,
    TEXTS,
    optional("comment", st.text(max_size=8)),
    lists_of(RULES),
)
ITEMS = st.builds(
    lambda identity, gate, trigger_id, ends: {
        "id": identity,
        "gate": gate,
        "trigger_id": trigger_id,
        **ends,
    },
    TEXTS,
    TEXTS,
    TEXTS,
    optional("expires_on", st.just("2030-01-01T00:00:00Z")),
)
WHITELISTS = st.builds(
    lambda identity, name, items: {
        "id": identity,
        "name": name,
        "version": "1_0",
        "items": items,
    },
    TEXTS,
    TEXTS,
    lists_of(ITEMS),
)
IMAGES = st.builds(
    lambda identity, name, registry, repository, kind, value: {
        "id": identity,
        "name": name,
        "registry": registry,
        "repository": repository,
        "image": {"type": kind, "value": value},
    },
    *(TEXTS, TEXTS, TEXTS, TEXTS, st.sampled_from(["tag", "digest", "id"]), TEXTS),
)
JUDGES = st.lists(TEXTS, min_size=1, max_size=3).map(
    lambda ids: {"policy_id": ids[0]} if len(ids) == 1 else {"policy_ids": ids}
)
MAPPINGS = st.builds(
    lambda image, judges, lists: {**image, **judges, "whitelist_ids": lists},
    IMAGES,
    JUDGES,
    st.lists(TEXTS, max_size=2),
)
BUNDLES = st.builds(
    lambda identity, name, comment, policies, whitelists, mappings, white, black: {
        "id": identity,
        "name": name,
        **comment,
        "version": "1_0",
        "policies": policies,
        "whitelists": whitelists,
        "mappings": mappings,
        "whitelisted_images": white,
        "blacklisted_images": black,
    },
    TEXTS,
    TEXTS,
    optional("comment", st.text(max_size=8)),
    lists_of(POLICIES),
    lists_of(WHITELISTS),
    lists_of(MAPPINGS),
    lists_of(IMAGES),
    lists_of(IMAGES),
)
"""Bundles with all that v1 leaves to whoever writes them."""


def changed(place: str, value: Any, document: Bundle = BASELINE) -> Bundle:
    """A copy with another value at a place such as `policies.0.rules.1.id`; ... takes it out."""
    whole = copy.deepcopy(document)
    *way, last = place.split(".")
    part: Any = whole
    for step in way:
        part = part[int(step)] if step.isdigit() else part[step]
    key: Any = int(last) if last.isdigit() else last
    if value is ...:
        del part[key]
    else:
        part[key] = value
    return whole


def v2_of(bundle: Bundle) -> Any:
    return converted(bundle, Form.V2).document


def v1_of(policy: Bundle) -> Any:
    return converted(policy, Form.V1).document


@given(BUNDLES)
def test_a_v1_bundle_comes_back_from_v2_as_it_was(bundle: Bundle) -> None:
    before = copy.deepcopy(bundle)
    policy = v2_of(bundle)
    back = converted(policy, Form.V1)
    assert back.document == before == bundle
    assert back.left_out == ()
    # And so does the v2 policy from v1.
    assert v2_of(back.document) == policy


@given(BUNDLES)
def test_v2_knows_neither_black_nor_white(bundle: Bundle) -> None:
    def words(value: Any) -> Any:
        if isinstance(value, dict):
            for key, one in value.items():
                yield key
                yield from words(one)
        elif isinstance(value, list):
            for one in value:
                yield from words(one)

    policy = v2_of(bundle)
    assert not [key for key in words(policy) if "black" in key or "white" in key]
    for rule in (rule for rules in policy["rule_sets"] for rule in rules["rules"]):
        assert "black" not in rule["trigger"]
        assert {"name": "type", "value": "blacklist"} not in rule["params"]


@given(BUNDLES, st.sampled_from(Form))
def test_what_has_the_form_already_is_left_as_it_is(bundle: Bundle, form: Form) -> None:
    document = converted(bundle, form).document
    assert form_of(document) is form
    assert converted(document, form).document is document


def test_each_field_has_its_place_in_the_other_form() -> None:
    assert v2_of(BASELINE) == {
        "id": "b",
        "name": "B",
        "description": "four rules",
        "version": "2",
        "rule_sets": [
            {
                "id": "p",
                "name": "P",
                "version": "2",
                "artifact_type": "image",
                "rules": [
                    {
                        "id": "r",
                        "gate": "packages",
                        "trigger": "denylist",
                        "action": "STOP",
                        "params": [{"name": "name", "value": "openssh-server"}],
                    },
                    {
                        "id": "u",
                        "gate": "dockerfile",
                        "trigger": "effective_user",
                        "action": "WARN",
                        "params": [
                            {"name": "users", "value": "blacklist"},
                            {"name": "type", "value": "denylist"},
                        ],
                    },
                ],
            }
        ],
        "allowlists": [
            {
                "id": "w",
                "name": "W",
                "description": "c",
                "version": "2",
                "items": [{"id": "i", "gate": "vulnerabilities", "trigger_id": "CVE-1+*"}],
            }
        ],
        "mappings": [
            {
                "id": "m",
                "name": "M",
                "registry": "*",
                "repository": "team/*",
                "image": {"type": "tag", "value": "*"},
                "rule_set_ids": ["p"],
                "allowlist_ids": ["w"],
            }
        ],
        "allowlisted_images": [],
        "denylisted_images": [
            {
                "id": "x",
                "name": "X",
                "registry": "r",
                "repository": "s",
                "image": {"type": "digest", "value": "sha256:1"},
            }
        ],
    }


def test_ids_and_names_that_v1_may_lack_are_made_and_are_the_same_each_time() -> None:
    bare = BASELINE
    for place in ("policies.0.rules.0.id", "whitelists.0.items.0.id", "mappings.0.id", "name"):
        bare = changed(place, ..., bare)
    policies: Any = bare["policies"]
    policies[0]["rules"].append(copy.deepcopy(policies[0]["rules"][0]))
    policy = v2_of(bare)
    assert policy["name"] == "b"
    ids = [rule["id"] for rule in policy["rule_sets"][0]["rules"]]
    assert ids[2] == f"{ids[0]}-2"
    assert ids[0].startswith("made-")
    assert v2_of(bare) == policy
    assert v2_of(v1_of(policy)) == policy


def test_what_only_v2_says_and_decides_about_no_image_is_left_out_and_told() -> None:
    policy = v2_of(BASELINE)
    policy["source_mappings"] = [{"host": "*"}]
    policy["sbom_mappings"] = []
    policy["rule_sets"][0]["rules"][0] |= {"description": "", "recommendation": "Remove it"}
    policy["mappings"][0]["description"] = "all"
    policy["allowlists"][0]["items"][0] |= {"description": "why", "expires_on": None}
    told = converted(policy, Form.V1)
    assert told.document == BASELINE
    assert told.left_out == (
        "source_mappings",
        "rule_sets[0].rules[0].recommendation",
        "allowlists[0].items[0].description",
        "mappings[0].description",
    )


@pytest.mark.parametrize("key", ["active", "last_updated"])
def test_what_anchore_keeps_beside_the_content_is_dropped(key: str) -> None:
    assert v2_of(BASELINE | {key: 1}) == v2_of(BASELINE)
    assert v1_of(v2_of(BASELINE) | {key: 1}) == BASELINE


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        ("colour", "red", "colour: a v1 policy has no such field here"),
        ("policies.0.rules.1.severity", "x", r"policies\[0\]\.rules\[1\]\.severity: a v1 policy"),
        ("version", "2_0", "version: 2_0 is none of 1_0"),
        ("policies.0.version", ..., r"policies\[0\]\.version: is missing"),
        ("policies.0.id", ..., r"policies\[0\]\.id: is missing; give it"),
        ("id", 5, "id: must be a text, not 5"),
        ("policies", {}, "policies: must be a list"),
        ("policies.0.rules", ["x"], r"policies\[0\]\.rules\[0\]: must be an object, not x"),
        ("policies.0.rules.0.action", "stop", "action: stop is none of GO, WARN, STOP"),
        ("policies.0.rules.0.params.0.value", 5, r"params\[0\]\.value: must be a text, not 5"),
        ("policies.0.rules.1.id", "r", r"rules\[1\]\.id: r stands twice"),
        (
            "policies.0.rules.0",
            {"gate": "npms", "trigger": "blacklisted_name_version", "action": "STOP"},
            r"rules\[0\]\.trigger: what v2 calls the trigger blacklisted_name_version of the gate",
        ),
        ("policies.0.rules.0.trigger", "BlackList", "what v2 calls the trigger BlackList of the"),
        ("mappings.0.policy_id", ..., r"mappings\[0\]\.policy_ids: is missing, and so is"),
        ("mappings.0.policy_ids", ["q"], "stands beside policy_id and says something else"),
        ("mappings.0.whitelist_ids", "w", "whitelist_ids: must be a list of texts, not w"),
        ("mappings.0.image", "*", r"mappings\[0\]\.image: must be an object"),
        ("mappings.0.image.type", "name", "image.type: name is none of tag, digest, id"),
        ("blacklisted_images.0.registry", "", r"blacklisted_images\[0\]\.registry: is missing"),
    ],
)
def test_what_v2_cannot_say_is_an_error_with_its_place(place: str, value: Any, words: str) -> None:
    with pytest.raises(InvalidPolicy, match=words):
        v2_of(changed(place, value))


@pytest.mark.parametrize(
    ("place", "value", "words"),
    [
        (
            "rule_sets.0.artifact_type",
            "source",
            r"rule_sets\[0\]\.artifact_type: v1 judges images alone",
        ),
        ("rule_sets.0.rules.0.weight", 1, r"rules\[0\]\.weight: a v2 policy has no such field"),
        ("mappings.0.rule_set_ids", [], r"mappings\[0\]\.rule_set_ids: is empty"),
        (
            "rule_sets.0.rules.0",
            {"gate": "tags", "trigger": "denylist", "action": "STOP"},
            "what v1 calls the trigger denylist of the gate tags is not known",
        ),
        (
            "denylisted_images.0.image.value",
            "",
            r"denylisted_images\[0\]\.image\.value: is missing",
        ),
    ],
)
def test_what_v1_cannot_say_is_an_error_with_its_place(place: str, value: Any, words: str) -> None:
    with pytest.raises(InvalidPolicy, match=words):
        v1_of(changed(place, value, v2_of(BASELINE)))


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "is no policy: it has neither policies"),
        ({"policies": [], "rule_sets": []}, "has policies of a v1 bundle and rule_sets of a v2"),
        ({"policyId": "x", "policybundle": {}}, "take what stands under policybundle"),
        ({"policy_id": "x", "policy": {}}, "take what stands under policy"),
    ],
)
def test_a_document_of_neither_form_is_told_apart(document: Bundle, words: str) -> None:
    with pytest.raises(InvalidPolicy, match=words):
        form_of(document)


@pytest.mark.parametrize(
    "name", ["check-default-bundle-detail-bad", "check-baseline-active-good", "check-v-warn-bad"]
)
def test_bundles_of_a_real_engine_come_back_as_they_were(name: str) -> None:
    bundle = checked_by(name)
    assert v1_of(v2_of(bundle)) == bundle


def test_a_list_of_one_policy_comes_back_as_that_policy() -> None:
    bundle = checked_by("check-v-policy-ids-good")
    (mapping,) = bundle["mappings"]
    assert mapping.pop("policy_ids") == ["oci-baseline-policy"]
    expected = copy.deepcopy(bundle)
    expected["mappings"][0]["policy_id"] = "oci-baseline-policy"
    mapping["policy_ids"] = ["oci-baseline-policy"]
    assert v1_of(v2_of(bundle)) == expected


def checked_by(name: str) -> Any:
    """The bundle that a recorded check was made by."""
    tags = next(iter(recording(name).body[0].values()))
    return next(iter(tags.values()))[0]["detail"]["result"]["bundle"]
