"""Who may call whom: the chart's NetworkPolicies, held against the pods that it makes."""

import msgspec
import pytest

from shared.domain.label_selector import LabelSelector
from tests.deploy.chart import ANCHORE, SCANNER, Object, Values, one, rendered, templates

TRIAL = ("values-trial.yaml",)
ALL: Values = SCANNER | {"webhooks": {"keepInStep": {"enabled": True}}}
COMPONENT = "app.kubernetes.io/component"


@pytest.fixture(scope="module")
def every() -> list[Object]:
    return rendered(ALL, *TRIAL)


def labels(objects: list[Object]) -> list[dict[str, str]]:
    """Of every pod of ours."""
    return [template["metadata"]["labels"] for _, template in templates(objects)]


def chosen(selector: Object, among: list[dict[str, str]]) -> set[str]:
    """The components of the pods that it selects."""
    reading = msgspec.convert(selector, LabelSelector)
    return {each[COMPONENT] for each in among if reading.selects(each)}


def policies(objects: list[Object]) -> dict[str, Object]:
    return {
        each["metadata"]["name"]: each["spec"]
        for each in objects
        if each["kind"] == "NetworkPolicy"
    }


def strangers(objects: list[Object]) -> list[dict[str, str]]:
    """Pods of others in the same namespace, that have the one label or the other."""
    components = {each[COMPONENT] for each in labels(objects)}
    return [{COMPONENT: each, "app.kubernetes.io/name": "other"} for each in components] + [{}]


def test_no_pod_is_called_but_where_a_policy_opens_it(every: list[Object]) -> None:
    nothing = policies(every)["imagegate-nothing-else"]
    pods = labels(every)
    assert chosen(nothing["podSelector"], pods) == {each[COMPONENT] for each in pods}
    assert all(
        msgspec.convert(nothing["podSelector"], LabelSelector).selects(each) for each in pods
    )
    assert "ingress" not in nothing


def test_what_is_limited_is_who_calls_and_not_who_is_called(every: list[Object]) -> None:
    """Where Redis, Anchore and registries are only the operator knows."""
    for name, spec in policies(every).items():
        assert spec["policyTypes"] == ["Ingress"], name


def test_pods_of_others_are_neither_held_nor_let_in(every: list[Object]) -> None:
    for name, spec in policies(every).items():
        peers = [who for rule in spec.get("ingress", ()) for who in rule.get("from", ())]
        selectors = [spec["podSelector"], *(who["podSelector"] for who in peers)]
        for selector in selectors:
            assert chosen(selector, strangers(every)) == set(), name


def test_each_policy_is_about_the_pods_that_it_is_called_after(every: list[Object]) -> None:
    about = {
        name: chosen(spec["podSelector"], labels(every))
        for name, spec in policies(every).items()
        if name != "imagegate-nothing-else"
    }
    services = ("webhook", "worker", "intake", "console", "scanner")
    assert about == {f"imagegate-{each}": {each} for each in services} | {
        "imagegate-trial-servers": {"redis", "rabbitmq"}
    }


def test_every_deployment_has_a_policy_that_opens_what_is_called_and_no_more(
    every: list[Object],
) -> None:
    open_ports = {
        name: {port["port"] for rule in spec.get("ingress", ()) for port in rule["ports"]}
        for name, spec in policies(every).items()
    }
    assert open_ports == {
        "imagegate-nothing-else": set(),
        "imagegate-webhook": {"reviews", "health"},
        "imagegate-worker": {"health"},
        "imagegate-intake": {"events", "health"},
        "imagegate-console": {"health"},
        "imagegate-scanner": {"anchore", "health"},
        "imagegate-trial-servers": {"redis", "amqp"},
    }
    for name, template in templates(every):
        if name.startswith("Deployment "):
            (container,) = template["spec"]["containers"]
            named = {port["name"] for port in container["ports"]}
            assert open_ports[name.partition(" ")[2]] <= named


def ingress(objects: list[Object], name: str) -> list[Object]:
    return list(policies(objects)[name]["ingress"])


def callers(rule: Object, objects: list[Object]) -> set[str]:
    (who,) = rule["from"]
    assert set(who) == {"podSelector"}
    return chosen(who["podSelector"], labels(objects))


def test_only_the_api_servers_the_jobs_that_wait_and_webhooks_ask_for_reviews() -> None:
    """From a webhook's pod people ask by hand, as the operations page tells them."""
    told = {"networkPolicy": {"reviewsFrom": ["10.0.0.0/28", "10.1.0.0/28"]}}
    objects = rendered(ALL | told)
    health, reviews = ingress(objects, "imagegate-webhook")
    assert health == {"ports": [{"port": "health"}]}
    assert reviews["ports"] == [{"port": "reviews"}]
    *blocks, ours = reviews["from"]
    assert [each["ipBlock"]["cidr"] for each in blocks] == told["networkPolicy"]["reviewsFrom"]
    assert chosen(ours["podSelector"], labels(objects)) == {"webhooks", "webhook"}
    assert {name for name, _ in templates(objects) if "webhooks" in name} >= {
        "Job imagegate-webhooks-apply",
        "CronJob imagegate-webhooks",
    }


def test_the_scanner_is_asked_by_those_that_have_its_password(every: list[Object]) -> None:
    asked, health = ingress(every, "imagegate-scanner")
    assert asked["ports"] == [{"port": "anchore"}]
    assert callers(asked, every) == {"worker", "console"}
    assert health == {"ports": [{"port": "health"}]}


def test_servers_of_a_trial_are_called_by_those_that_have_a_user(every: list[Object]) -> None:
    (rule,) = ingress(every, "imagegate-trial-servers")
    assert rule["ports"] == [{"port": "redis"}, {"port": "amqp"}]
    assert callers(rule, every) == {"webhook", "worker", "intake", "console"}
    for server in ("redis", "rabbitmq"):
        pod = one(every, "StatefulSet", f"imagegate-{server}")["spec"]["template"]
        named = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
        assert named <= {"redis", "amqp"}


def test_who_has_policies_of_its_own_gets_none() -> None:
    assert policies(rendered(ANCHORE | {"networkPolicy": {"enabled": False}})) == {}
