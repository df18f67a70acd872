"""Files of Anchore's own controller as people have them."""

import base64
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.cli.rules.controller.files import Controller, Selector, read_controller
from services.cli.rules.controller.handed import MAX_BYTES, UnreadableController

CONFIG = json.dumps({"PolicySelectors": [{"Mode": "policy"}]})
CREDENTIALS = json.dumps({"users": [{"username": "shop", "password": "hunter2"}]})


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


CONFIGMAP = {"kind": "ConfigMap", "data": {"config.json": CONFIG}}
SECRET = {"kind": "Secret", "data": {"credentials.json": coded(CREDENTIALS)}}
OTHERS: list[Any] = [
    {"kind": "ConfigMap", "data": {"init-ca.sh": "#!/bin/bash"}},
    {"kind": "Secret", "data": {"tls.key": "eA=="}},
    {"kind": "Deployment", "data": {"config.json": "{}"}},
    {"kind": "Service"},
]


def read(folder: Path, *documents: Any) -> Controller:
    file = folder / "file.yaml"
    file.write_text(yaml.safe_dump_all(documents, explicit_start=True))
    return read_controller(file)


def test_json_may_be_indented_with_tabs(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{\n\t"policySelectors": [\n\t\t{"Mode": "policy"}\n\t]\n}\n')

    (selector,) = read_controller(file).selectors

    assert selector.mode == "policy"


@pytest.mark.parametrize("at", range(5))
def test_the_configmap_is_found_among_other_objects(tmp_path: Path, at: int) -> None:
    controller = read(tmp_path, None, *OTHERS[:at], CONFIGMAP, *OTHERS[at:], None)
    assert [each.mode for each in controller.selectors] == ["policy"]
    assert controller.users is None


@pytest.mark.parametrize("kind", ["List", "ConfigMapList"])
def test_the_configmap_is_found_in_a_list(tmp_path: Path, kind: str) -> None:
    items: list[Any] = [{"kind": "ConfigMap"}, CONFIGMAP]
    if kind == "ConfigMapList":
        items = [{"data": each.get("data")} for each in items]
    assert len(read(tmp_path, {"kind": kind, "items": items}).selectors) == 1


@pytest.mark.parametrize(
    "secret",
    [
        SECRET,
        {
            "kind": "Secret",
            "data": {"credentials.json": base64.encodebytes(CREDENTIALS.encode()).decode()},
        },
        {"kind": "Secret", "stringData": {"credentials.json": CREDENTIALS}},
        {
            "kind": "Secret",
            "stringData": {"credentials.json": CREDENTIALS},
            "data": {"credentials.json": coded('{"users": []}')},
        },
        {
            "kind": "Secret",
            "stringData": {"another": "x"},
            "data": {"credentials.json": coded(CREDENTIALS)},
        },
    ],
)
def test_users_are_those_of_the_secret_coded_or_plain_alone_or_beside(
    tmp_path: Path, secret: Any
) -> None:
    assert read(tmp_path, CONFIGMAP, secret).users == frozenset({"shop"})
    config, credentials = tmp_path / "config.json", tmp_path / "secret.yaml"
    config.write_text(CONFIG)
    credentials.write_text(yaml.safe_dump(secret))
    assert read_controller(config, credentials).users == frozenset({"shop"})
    assert read_controller(config).users is None


def test_credentials_that_are_named_go_before_those_beside(tmp_path: Path) -> None:
    named = tmp_path / "credentials.json"
    named.write_text('{"users": [{"username": "cache"}]}')
    file = tmp_path / "file.yaml"
    file.write_text(yaml.safe_dump_all([CONFIGMAP, SECRET, SECRET]))
    assert read_controller(file, named).users == frozenset({"cache"})


def test_credentials_that_are_named_and_empty_are_none(tmp_path: Path) -> None:
    config, credentials = tmp_path / "config.json", tmp_path / "credentials.json"
    config.write_text(CONFIG)
    for content in ("", "null", "[]", '{"users": {}}'):
        credentials.write_text(content)
        with pytest.raises(UnreadableController, match="holds no list `users`"):
            read_controller(config, credentials)


def test_an_empty_document_makes_no_object_of_what_stands_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(f"---\n# nothing yet\n---\n{CONFIG}\n---\n")
    assert len(read_controller(file).selectors) == 1


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = yaml.safe_dump_all([CONFIGMAP, SECRET])
    writer = threading.Thread(target=pipe.write_text, args=(text,))
    writer.start()
    assert read_controller(pipe).users == frozenset({"shop"})
    writer.join()


def test_values_may_have_aliases(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(
        "policySelectors:\n"
        "  - {mode: policy, policyReference: &shop {username: shop}}\n"
        "  - {mode: analysis, policyReference: *shop}\n"
    )
    assert [each.user for each in read_controller(file).selectors] == ["shop", "shop"]


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ([*OTHERS], "no ConfigMap or Secret in it has config.json (it holds: ConfigMap, Deploy"),
        ([{"kind": "ConfigMap"}], "no ConfigMap or Secret in it has config.json (it holds: Conf"),
        ([{"a": 1}, {"b": 2}], "no ConfigMap or Secret in it has config.json"),
        ([{"kind": "ConfigMap", "data": {"config.json": {"a": 1}}}], "has config.json (it holds"),
        ([CONFIGMAP, CONFIGMAP], "2 objects in it have config.json: leave the one that is meant"),
        ([CONFIGMAP, SECRET, SECRET], "2 objects in it have credentials.json"),
        (
            [CONFIGMAP, {"kind": "Secret", "stringData": {"credentials.json": "{}"}}],
            "credentials.json holds no list `users`",
        ),
        (
            [CONFIGMAP, {"kind": "Secret", "data": {"credentials.json": f"{coded(CREDENTIALS)}!"}}],
            "credentials.json in it is no base64",
        ),
        (
            [{"kind": "ConfigMap", "data": {"config.json": "--- a\n--- b\n"}}],
            "config.json in it is 2 documents",
        ),
        ([{"kind": "ConfigMap", "data": {"config.json": ""}}], "holds no policySelectors"),
    ],
)
def test_what_does_not_have_one_configuration_is_said(
    tmp_path: Path, documents: list[Any], said: str
) -> None:
    with pytest.raises(UnreadableController) as error:
        read(tmp_path, *documents)
    assert said in str(error.value)
    assert "hunter2" not in str(error.value)
    assert str(tmp_path / "file.yaml") in str(error.value)


def test_what_is_too_large_is_not_read_and_what_is_just_so_large_is(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(CONFIG.ljust(MAX_BYTES))
    assert read_controller(file).selectors
    file.write_text(CONFIG.ljust(MAX_BYTES + 1))
    with pytest.raises(UnreadableController, match="is larger than 1048576 bytes"):
        read_controller(file)


def config(folder: Path, **content: Any) -> Controller:
    file = folder / "config.json"
    file.write_text(json.dumps({"PolicySelectors": []} | content))
    return read_controller(file)


WHOLE = {
    "Selector": {"ResourceType": "k", "SelectorKeyRegex": "a", "SelectorValueRegex": "b"},
    "PolicyReference": {"Username": "shop", "PolicyBundleId": "c"},
    "Mode": "policy",
}


@pytest.mark.parametrize("key", ["Selector", "ResourceSelector", "SELECTOR", "resourceSelector"])
def test_a_selector_is_read_whole_in_any_case_and_numbered(tmp_path: Path, key: str) -> None:
    one = {key: WHOLE["Selector"], "policyreference": WHOLE["PolicyReference"], "MODE": "policy"}
    first, second = config(tmp_path, PolicySelectors=[one, {}]).selectors
    assert first == Selector(1, "k", "a", "b", "policy", "shop", "c")
    assert second == Selector(2, "", "", "", "", "", "")


@pytest.mark.parametrize(
    "way",
    [
        ("Selector", "ResourceType"),
        ("Selector", "SelectorKeyRegex"),
        ("Selector", "SelectorValueRegex"),
        ("PolicyReference", "Username"),
        ("PolicyReference", "PolicyBundleId"),
        ("Mode",),
    ],
)
@pytest.mark.parametrize("value", [True, 0, 1.5, [], {}])
def test_what_is_no_text_is_named_and_not_guessed(
    tmp_path: Path, way: tuple[str, ...], value: Any
) -> None:
    one = json.loads(json.dumps(WHOLE))
    at = one
    for step in way[:-1]:
        at = at[step]
    at[way[-1]] = value
    with pytest.raises(UnreadableController, match=f"selector 2: {way[-1]} must be a text"):
        config(tmp_path, PolicySelectors=[{}, one])


@pytest.mark.parametrize(
    ("content", "asked"),
    [
        ({}, False),
        ({"validator": {"requestAnalysis": True}}, True),
        ({"validator": {"requestAnalysis": "TRUE"}}, True),
        ({"validator": {"requestAnalysis": 1}}, True),
        ({"validator": {"requestAnalysis": False}}, False),
        ({"validator": {"requestAnalysis": "no"}}, False),
        ({"validator": {"requestAnalysis": False}, "requestAnalysis": True}, False),
        ({"validator": {}, "requestAnalysis": True}, True),
        ({"validator": None}, False),
        # The chart's values, where it is on if it is not named.
        ({"existingCredentialsSecret": "anchore-credentials"}, True),
        ({"credentials": {"users": []}}, True),
        ({"existingCredentialsSecret": "x", "requestAnalysis": False}, False),
    ],
)
def test_whether_images_are_analysed_all_the_same(
    tmp_path: Path, content: dict[str, Any], asked: bool
) -> None:
    assert config(tmp_path, **content).request_analysis is asked


@pytest.mark.parametrize(
    ("content", "modes", "wrong"),
    [
        ({"PolicySelectors": None, "selectors": [WHOLE]}, ["policy"], True),
        ({"PolicySelectors": None, "selectors": []}, [], False),
        ({"PolicySelectors": [], "selectors": [WHOLE]}, [], False),
        ({"PolicySelectors": [WHOLE], "selectors": []}, ["policy"], False),
    ],
)
def test_selectors_are_looked_for_where_the_controller_looks_first(
    tmp_path: Path, content: dict[str, Any], modes: list[str], wrong: bool
) -> None:
    read = config(tmp_path, **content)
    assert [each.mode for each in read.selectors] == modes
    assert read.wrong_key is wrong


@pytest.mark.parametrize(
    ("credentials", "users"),
    [
        (None, None),
        ({}, None),
        ({"users": None}, None),
        ({"users": []}, frozenset[str]()),
        ({"Users": [{"Username": "shop"}, {"password": "x"}, "x", {"username": 7}]}, {"shop"}),
    ],
)
def test_users_of_the_charts_values_are_those_that_have_a_name(
    tmp_path: Path, credentials: Any, users: frozenset[str] | set[str] | None
) -> None:
    read = config(tmp_path, credentials=credentials).users
    assert read == (None if users is None else frozenset(users))


def test_the_address_of_anchore_is_read_and_has_to_be_a_text(tmp_path: Path) -> None:
    assert config(tmp_path, AnchoreEndpoint="http://anchore").endpoint == "http://anchore"
    assert config(tmp_path).endpoint == ""
    with pytest.raises(UnreadableController, match="anchoreEndpoint must be a text"):
        config(tmp_path, AnchoreEndpoint=8228)
