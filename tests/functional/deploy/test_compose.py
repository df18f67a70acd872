"""compose.yaml against the schema of Compose, and against the code."""

import copy
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.cli.settings import CliSettings
from tests.deploy.composed import (
    FOLDER,
    Compose,
    loose_ends,
    mounts,
    ours,
    read_compose,
    told_by,
)
from tests.deploy.told import SETTINGS, mistakes

COMPOSE = read_compose()
PUBLISHED = {"webhook", "intake", "console"}
PAGES = {"127.0.0.1:15672:15672", "127.0.0.1:15692:15692"}
"""The broker's: its own page, and its metrics."""


def broken(change: Any) -> Compose:
    """compose.yaml after `change(services)`."""
    compose = copy.deepcopy(COMPOSE)
    change(compose["services"])
    return compose


def test_it_is_what_compose_reads() -> None:
    script = Path(sys.executable).with_name("check-jsonschema")
    schema = ["--builtin-schema", "vendor.compose-spec"]
    files = [str(FOLDER / name) for name in ("compose.yaml", "demo/compose.yaml")]
    command = [str(script), *schema, *files]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout


def test_so_is_the_demonstration_over_it() -> None:
    demo = read_compose("demo/compose.yaml")
    assert loose_ends(demo) == []
    assert set(demo["services"]) - set(COMPOSE["services"]) == {"registry"}
    registry = demo["services"]["registry"]
    assert registry["ports"] == ["127.0.0.1:5000:5000"]
    assert registry["healthcheck"]["test"][-1] == "http://127.0.0.1:5000/v2/"
    for name in ("webhook", "worker", "intake", "scanner"):
        own, _ = mounts(demo, name)
        assert own["/etc/imagegate/rules"] == FOLDER / "demo" / "rules"
        assert set(own) == set(_files(name)), "it takes nothing away"
    assert "stores" not in registry["networks"]
    hardened(registry)


def test_whatever_stays_up_is_asked_whether_it_is_well() -> None:
    demo = read_compose("demo/compose.yaml")["services"]
    assert {name for name, service in demo.items() if "healthcheck" not in service} == {"operator"}


def test_images_of_others_have_a_tag_and_can_be_a_mirrors() -> None:
    for name, service in read_compose("demo/compose.yaml")["services"].items():
        assert re.fullmatch(r"\S+:\d[\w.-]+", service["image"]), name
    told = read_compose(variables={"RABBITMQ_IMAGE": "registry.corp/rabbitmq:4.2"})
    assert told["services"]["rabbitmq"]["image"] == "registry.corp/rabbitmq:4.2"


def test_rules_are_mounted_as_a_folder_so_that_a_file_put_in_their_place_is_seen() -> None:
    for name in ("webhook", "worker", "intake", "scanner"):
        assert _files(name)["/etc/imagegate/rules"] == FOLDER / "rules"
    assert (FOLDER / "rules" / "rules.yaml").is_file()


def test_every_service_of_imagegate_is_in_it() -> None:
    assert set(ours(COMPOSE)) == set(SETTINGS)


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_a_process_takes_all_that_it_is_told(
    name: str, compose_folder: Path, tmp_path: Path
) -> None:
    assert mistakes(told_by(COMPOSE, name, folder=compose_folder, root=tmp_path)) == []


def test_what_is_used_is_defined_and_what_is_defined_is_used() -> None:
    assert loose_ends(COMPOSE) == []


def test_what_is_defined_and_not_used_is_noticed() -> None:
    compose = copy.deepcopy(COMPOSE)
    compose["secrets"]["old"] = {"file": "./secrets/old"}
    compose["services"]["redis"]["networks"] = ["store"]
    compose["services"]["webhook"]["networks"] = ["edge"]
    assert loose_ends(compose) == ["secrets old", "networks store"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda of: of["webhook"]["environment"].update(IMAGEGATE_WAITS="2"),
            "IMAGEGATE_WAITS is no setting of WebhookSettings",
        ),
        (
            lambda of: of["webhook"]["environment"].update(ANCHORE_URL="http://anchore"),
            "ANCHORE_URL is no setting of WebhookSettings",
        ),
        (
            lambda of: of["webhook"]["environment"].update(IMAGEGATE_WAIT="soon"),
            "IMAGEGATE_WAIT must be a number above 0 and at most 30",
        ),
        (
            lambda of: of["webhook"]["environment"].update(REDIS_URL="redis://:secret@redis"),
            "REDIS_URL is a secret and stands in the environment",
        ),
        (
            lambda of: of["webhook"]["secrets"].remove("amqp_url_webhook"),
            "AMQP_URL_FILE is /run/secrets/amqp_url_webhook, which is not mounted",
        ),
        (
            lambda of: of["webhook"]["volumes"].pop(0),
            "IMAGEGATE_RULES is /etc/imagegate/rules/rules.yaml, which is not mounted",
        ),
        (
            lambda of: of["scanner"]["volumes"].pop(),
            "IMAGEGATE_STATE is /var/lib/imagegate, which it may not write",
        ),
        (lambda of: of["webhook"].update(command=["webhok"]), "imagegate webhok is no command"),
        (
            lambda of: of["webhook"]["healthcheck"].update(test=["http://127.0.0.1:8082/readyz"]),
            "a probe asks port 8082, and it is well on 8081",
        ),
        (
            lambda of: of["webhook"]["healthcheck"].update(test=["http://127.0.0.1:8081/healthz"]),
            "a probe asks for /healthz, which is none of ['/livez', '/metrics', '/readyz']",
        ),
        (
            lambda of: of["webhook"].update(ports=["127.0.0.1:8443:443"]),
            "port 443 is none of",
        ),
        (
            lambda of: of["webhook"]["environment"].pop("IMAGEGATE_HOST"),
            "port 8443 is called from outside, and it listens on the loopback address",
        ),
    ],
)
def test_a_mistake_is_named(change: Any, says: str, compose_folder: Path, tmp_path: Path) -> None:
    compose = broken(change)
    name = "scanner" if "STATE" in says else "webhook"
    (found,) = mistakes(told_by(compose, name, folder=compose_folder, root=tmp_path))
    assert says in found


def test_only_the_worker_gets_the_key_that_signs() -> None:
    holders = [
        name
        for name in COMPOSE["services"]
        if any(file.name in ("worker.key", "operator.key") for file in _files(name).values())
    ]
    assert holders == ["worker"]
    assert "operator.key" not in COMPOSE["secrets"]


def test_what_an_operator_types_runs_where_redis_is_and_starts_with_nothing_else() -> None:
    operator = COMPOSE["services"]["operator"]
    assert operator["profiles"] == ["operator"]
    assert operator["networks"] == ["stores"]
    known = {field.name.upper() for field in msgspec.structs.fields(CliSettings)}
    assert {name.removesuffix("_FILE") for name in operator["environment"]} <= known


@pytest.mark.parametrize("server", ["redis", "amqp"])
def test_each_process_has_a_user_of_its_own(server: str) -> None:
    for name in PUBLISHED | {"worker", "operator"}:
        assert f"{server}_url_{name}" in {file.name for file in _files(name).values()}
        others = {f"{server}_url_{other}" for other in {*SETTINGS, "operator"} if other != name}
        assert not others & {file.name for file in _files(name).values()}


def test_every_mounted_file_is_there_or_made_by_the_script(compose_folder: Path) -> None:
    for name in COMPOSE["services"]:
        files, _ = mounts(COMPOSE, name, folder=compose_folder)
        assert [file for file in files.values() if not file.exists()] == []


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_a_container_can_do_no_more_than_it_must(name: str) -> None:
    hardened(COMPOSE["services"][name], restart="no" if name == "operator" else "unless-stopped")


def hardened(service: dict[str, Any], *, restart: str = "unless-stopped") -> None:
    user, _, group = service["user"].partition(":")
    assert int(user) > 0
    assert int(group) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == restart
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory", "pids"}


def test_only_what_is_called_from_outside_is_published_and_on_loopback_unless_told() -> None:
    ports = {name: of["ports"] for name, of in COMPOSE["services"].items() if "ports" in of}
    assert set(ports) == PUBLISHED | {"rabbitmq"}
    assert all(port.startswith("127.0.0.1:") for of in ports.values() for port in of)
    told = read_compose(variables={"IMAGEGATE_BIND": "192.0.2.1"})
    assert told["services"]["webhook"]["ports"] == ["192.0.2.1:8443:8443"]
    assert set(told["services"]["rabbitmq"]["ports"]) == PAGES


def test_the_stores_have_no_way_out_and_the_scanner_no_way_to_them() -> None:
    assert COMPOSE["networks"]["stores"] == {"internal": True}
    assert COMPOSE["services"]["redis"]["networks"] == ["stores"]
    assert COMPOSE["services"]["rabbitmq"]["networks"] == ["stores", "pages"]
    no_way_out = {"com.docker.network.bridge.enable_ip_masquerade": "false"}
    assert COMPOSE["networks"]["pages"] == {"driver_opts": no_way_out}
    assert "stores" not in COMPOSE["services"]["scanner"]["networks"]


def test_a_process_gets_more_time_to_stop_than_it_takes() -> None:
    for name in ours(COMPOSE):
        drain = SETTINGS[name](imagegate_state=Path()).imagegate_drain
        assert int(COMPOSE["services"][name]["stop_grace_period"].removesuffix("s")) > drain + 10


def test_an_anchore_of_your_own_needs_no_scanner() -> None:
    compose = read_compose(variables={"ANCHORE_URL": "https://anchore.corp:8228"})
    for name in ("worker", "console"):
        assert compose["services"][name]["environment"]["ANCHORE_URL"] == (
            "https://anchore.corp:8228"
        )
    assert compose["services"]["scanner"]["profiles"] == ["scanner"]
    assert compose["services"]["worker"]["depends_on"]["scanner"]["required"] is False


def test_no_file_of_it_holds_a_password() -> None:
    for path in FOLDER.rglob("*"):
        if path.is_file() and "secrets" not in path.relative_to(FOLDER).parts[:1]:
            text = path.read_text()
            assert re.findall(r"\w+://[^\s/{}]*:[^\s/{}]+@", text) == [], path
            assert "PRIVATE KEY" not in text, path


def test_the_rights_in_redis_are_those_that_were_tried() -> None:
    tried = (FOLDER.parent / "docs" / "design" / "redis-rights.md").read_text()
    lines = re.findall(r"^ACL SETUSER (\w+) reset on >PASSWORD (.+)$", tried, re.MULTILINE)
    given = (FOLDER / "redis" / "users.acl").read_text()
    assert dict(lines) == dict(re.findall(r"^user (\w+) reset on %\1% (.+)$", given, re.MULTILINE))


def test_the_rights_on_the_broker_are_those_that_were_tried(compose_folder: Path) -> None:
    tried = (FOLDER.parent / "docs" / "design" / "rabbitmq-rights.md").read_text()
    lines = re.findall(
        r"^rabbitmqctl set_permissions (\w+) '(.+)' '(.+)' '(.+)'$", tried, re.MULTILINE
    )
    made = json.loads((compose_folder / "secrets" / "rabbitmq.json").read_text())
    given = [
        (one["user"], one["configure"], one["write"], one["read"]) for one in made["permissions"]
    ]
    assert given == lines
    assert {user["name"]: user["tags"] for user in made["users"] if user["tags"]} == {
        "operator": ["monitoring"]
    }


def _files(name: str) -> dict[str, Path]:
    return mounts(COMPOSE, name)[0]
