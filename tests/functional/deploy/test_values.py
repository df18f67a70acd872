"""What the schema of the chart's values refuses, before an API server or a process would."""

import pytest

from tests.deploy.chart import ANCHORE, SCANNER, Refused, Values, render

ON = {"enabled": True}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"secondLine": ON | {"actions": ["Deny", "Warn"]}}, "/secondLine/actions"),
        ({"networkPolicy": {"reviewsFrom": ["10.0.0.1/99"]}}, "/networkPolicy/reviewsFrom/0"),
        ({"networkPolicy": {"reviewsFrom": ["fd00::/129"]}}, "/networkPolicy/reviewsFrom/0"),
        ({"webhooks": {"keepInStep": {"schedule": "every hour x"}}}, "/keepInStep/schedule"),
        ({"worker": {"priorityClassName": "Foo"}}, "/worker/priorityClassName"),
        ({"worker": {"resources": {"limits": {"memory": "lots"}}}}, "/limits/memory"),
        ({"webhook": {"clientCA": {"key": "../x"}}}, "/webhook/clientCA/key"),
        ({"certificates": {"from": "secret", "caKey": ".."}}, "/certificates/caKey"),
        ({"certificates": {"caKey": "other.crt"}}, "/certificates/caKey"),
        ({"certificates": {"secretName": "imagegate-webhook-ca"}}, "/certificates/secretName"),
        ({"webhook": {"settings": {"IMAGEGATE_POLICY_GRACES": 0}}}, "IMAGEGATE_POLICY_GRACES"),
        ({"webhook": {"settings": {"IMAGEGATE_POLLS": 3}}}, "IMAGEGATE_POLLS"),
        ({"worker": {"settings": {"ANCHORE_PASSWORD": "x"}}}, "ANCHORE_PASSWORD"),
        (
            {"webhook": {"autoscaling": ON | {"minReplicas": 9, "maxReplicas": 3}}},
            "webhook.autoscaling.minReplicas is 9 and maxReplicas 3",
        ),
        (
            {"worker": {"autoscaling": {"by": "hpa", "minReplicas": 9}}},
            "worker.autoscaling.minReplicas is 9 and maxReplicas 8",
        ),
    ],
)
def test_what_an_api_server_or_a_process_would_refuse_is_no_value(
    values: Values, says: str
) -> None:
    with pytest.raises(Refused) as raised:
        render(ANCHORE | values)
    assert says in str(raised.value)


@pytest.mark.parametrize("login", ["token", "api-key", "oauth"])
def test_the_built_in_scanner_asks_for_a_password(login: str) -> None:
    with pytest.raises(Refused, match="/anchore/login"):
        render(SCANNER | {"anchore": {"login": login}})
    render(ANCHORE | SCANNER | {"anchore": ANCHORE["anchore"] | {"login": login}})


@pytest.mark.parametrize(
    "values",
    [
        {"networkPolicy": ON | {"reviewsFrom": ["10.0.0.1/32", "fd00::/8", "::1/128"]}},
        {"webhooks": {"keepInStep": {"schedule": "@hourly"}}},
        {"webhooks": {"keepInStep": {"schedule": "*/5 0-6 1,15 JAN-MAR MON"}}},
        {"worker": {"resources": {"limits": {"memory": "1.5Gi", "cpu": 2}}}},
        {"certificates": {"from": "secret", "caKey": "tls.crt"}},
        {"webhook": {"settings": {"IMAGEGATE_POLICY_GRACE": 0, "IMAGEGATE_WAIT": 1.5}}},
        {"secondLine": ON | {"requireDigest": True, "actions": ["Warn", "Audit"]}},
    ],
)
def test_what_is_meant_is_taken(values: Values) -> None:
    render(ANCHORE | values)
