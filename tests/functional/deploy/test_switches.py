"""What is there of a part of imagegate, and what is not, by the values that switch it."""

from urllib.parse import urlsplit

import pytest

from tests.deploy.chart import (
    ANCHORE,
    REPOSITORY,
    SCANNER,
    Object,
    Refused,
    Values,
    one,
    render,
    rendered,
)

ON = {"enabled": True}
OFF = {"enabled": False}
COMPONENT = "app.kubernetes.io/component"
DIGEST = f"sha256:{'a' * 64}"


def components(objects: list[Object]) -> set[str]:
    return {each["metadata"]["labels"][COMPONENT] for each in objects}


EVERY: Values = SCANNER | {"enforcement": "none", "secondLine": ON | {"requireDigest": True}}
PARTS = ("webhook", "worker", "intake", "console", "scanner")


@pytest.mark.parametrize("part", PARTS)
def test_of_what_is_switched_off_nothing_is_left(part: str) -> None:
    """No account, no right, no policy, no Service that leads to nobody."""
    assert set(PARTS) <= components(rendered(EVERY))
    kept: Values = {"anchore": ANCHORE["anchore"]} if part == "scanner" else {}
    objects = rendered(EVERY | kept | {part: OFF})
    assert components(objects) == components(rendered(EVERY)) - {part}


OUTSIDE: Values = {"webhooks": {"url": "https://gate:1"}, "certificates": {"from": "secret"}}
DIRECT: Values = {"webhooks": {"apply": "direct"}, "certificates": {"from": "cert-manager"}}


@pytest.mark.parametrize("enforcement", ["audit", "enforce"])
@pytest.mark.parametrize("values", [{}, DIRECT])
def test_the_api_server_is_never_told_to_ask_a_webhook_that_is_switched_off(
    enforcement: str, values: Values
) -> None:
    off = ANCHORE | values | {"webhook": OFF}
    with pytest.raises(Refused) as raised:
        render(off | {"enforcement": enforcement})
    assert f"webhook.enabled is false, webhooks.url is empty, and enforcement is {enforcement}" in (
        str(raised.value)
    )
    assert rendered(off | {"enforcement": "none"})
    assert rendered(off | OUTSIDE | {"enforcement": enforcement})


def container(objects: list[Object], name: str) -> Object:
    spec = one(objects, "Deployment", f"imagegate-{name}")["spec"]["template"]["spec"]
    (found,) = spec["containers"]
    return dict(found)


def environ(objects: list[Object], name: str) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container(objects, name)["env"]}


def test_a_scanner_without_an_intake_tells_nobody() -> None:
    objects = rendered(SCANNER | {"intake": OFF})
    assert not [name for name in environ(objects, "scanner") if "NOTIFY" in name]
    pod = one(objects, "Deployment", "imagegate-scanner")["spec"]["template"]["spec"]
    assert "imagegate-intake" not in str(pod)


@pytest.mark.parametrize("service", ["worker", "console"])
def test_whose_scanner_is_the_built_in_one_asks_it_unless_another_is_named(service: str) -> None:
    objects = rendered(SCANNER)
    url = urlsplit(environ(objects, service)["ANCHORE_URL"])
    (port,) = one(objects, "Service", str(url.hostname))["spec"]["ports"]
    assert url.port == port["port"]
    selector = one(objects, "Service", str(url.hostname))["spec"]["selector"]
    assert selector[COMPONENT] == "scanner"
    both = rendered(ANCHORE | SCANNER)
    assert environ(both, service)["ANCHORE_URL"] == ANCHORE["anchore"]["url"]


LOGINS = {
    "password": {"ANCHORE_USER", "ANCHORE_PASSWORD_FILE"},
    "oauth": {"ANCHORE_USER", "ANCHORE_PASSWORD_FILE", "ANCHORE_AUTH"},
    "api-key": {"ANCHORE_API_KEY_FILE"},
    "token": {"ANCHORE_TOKEN_FILE"},
}


@pytest.mark.parametrize("login", LOGINS)
@pytest.mark.parametrize("service", ["worker", "console"])
def test_who_logs_in_is_told_what_its_login_needs(login: str, service: str) -> None:
    values = {"anchore": ANCHORE["anchore"] | {"login": login, "user": "us"}}
    told = environ(rendered(ANCHORE | values), service)
    assert {name for name in told if name.startswith("ANCHORE_")} - {"ANCHORE_URL"} == LOGINS[login]
    assert told.get("ANCHORE_USER", "us") == "us"
    for name, file in told.items():
        if name.startswith("ANCHORE_") and name.endswith("_FILE"):
            key = name.removesuffix("_FILE").lower().replace("_", "-")
            assert file == f"/etc/imagegate/secrets/{key}"


@pytest.mark.parametrize(
    ("image", "own", "named"),
    [
        ({"tag": "2"}, {}, f"{REPOSITORY}:2"),
        ({"tag": "2", "digest": DIGEST}, {}, f"{REPOSITORY}@{DIGEST}"),
        # A component's own word goes before the one for all.
        ({"tag": "2", "digest": DIGEST}, {"tag": "3"}, f"{REPOSITORY}:3"),
        ({"tag": "2"}, {"digest": DIGEST}, f"{REPOSITORY}@{DIGEST}"),
        # A digest is one of its own repository's.
        ({"tag": "2", "digest": DIGEST}, {"repository": "r.corp/own"}, "r.corp/own:2"),
    ],
)
def test_an_image_is_what_is_said_last_of_it(image: Values, own: Values, named: str) -> None:
    values = {"image": {"repository": REPOSITORY} | image, "worker": {"image": own}}
    assert container(rendered(ANCHORE | values), "worker")["image"] == named


def test_what_is_pulled_is_pulled_as_it_is_told() -> None:
    image = {"repository": REPOSITORY, "pullPolicy": "Always"}
    objects = rendered(ANCHORE | {"image": image})
    for name in PARTS[:4]:
        assert container(objects, name)["imagePullPolicy"] == "Always"


@pytest.mark.parametrize("trial", [(), ("values-trial.yaml",)])
def test_pods_have_the_labels_and_annotations_that_are_told_beside_ours(
    trial: tuple[str, ...],
) -> None:
    own = {"podLabels": {"team": "gate"}, "podAnnotations": {"sidecar.istio.io/inject": "false"}}
    values: Values = dict.fromkeys(PARTS, own) | {"scanner": own | ON}
    objects = rendered(ANCHORE | values, *trial)
    for part in PARTS:
        told = one(objects, "Deployment", f"imagegate-{part}")["spec"]["template"]["metadata"]
        assert told["labels"].items() >= {"team": "gate", COMPONENT: part}.items()
        assert told["annotations"].items() >= own["podAnnotations"].items()
        assert ("imagegate.dev/secrets" in told["annotations"]) is bool(trial)


@pytest.mark.parametrize("part", ["webhook", "intake"])
def test_a_service_is_of_the_kind_that_is_told(part: str) -> None:
    service = {"type": "LoadBalancer", "annotations": {"internal": "true"}}
    found = one(rendered(ANCHORE | {part: {"service": service}}), "Service", f"imagegate-{part}")
    assert found["spec"]["type"] == "LoadBalancer"
    assert found["metadata"]["annotations"] == {"internal": "true"}


OWN: dict[str, Values] = {
    "webhook": {"IMAGEGATE_CLUSTER": "own", "IMAGEGATE_WAIT": 1.5},
    "worker": {"IMAGEGATE_INVENTORY": "off"},
    "intake": {"IMAGEGATE_HEALTH_HOST": "::"},
    "console": {"ANCHORE_USER": "own"},
    "scanner": {"IMAGEGATE_SCANNER_NOTIFY_URL": "https://own", "IMAGEGATE_SCANNER_SYNC_URL": ""},
}


@pytest.mark.parametrize("part", PARTS)
def test_a_setting_of_the_operators_stands_in_place_of_the_charts(part: str) -> None:
    """And once: two of one name are a list that Helm 4 cannot apply."""
    told = SCANNER | {"cluster": "charts"}
    before = environ(rendered(told), part)
    own = SCANNER | {"cluster": "charts", part: {"enabled": True, "settings": OWN[part]}}
    objects = rendered(own)
    names = [entry["name"] for entry in container(objects, part)["env"]]
    assert sorted(names) == sorted(set(names))
    assert environ(objects, part) == before | {name: str(to) for name, to in OWN[part].items()}


@pytest.mark.parametrize("server", ["redis", "rabbitmq"])
def test_the_volumes_of_a_trial_go_with_it(server: str) -> None:
    spec = one(rendered(ANCHORE, "values-trial.yaml"), "StatefulSet", f"imagegate-{server}")["spec"]
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Delete"}
