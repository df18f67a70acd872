import json

import msgspec
import pytest

from services.cli.doctor.admission import Hook
from services.cli.doctor.remarks import Level
from services.cli.doctor.trial import trial_pod, trial_remark
from shared.ports.inspection import TrialPod
from tests.unit.cli.doctor.hooks import judging

EXEMPT = frozenset({"kube-system"})
FAILED = 'Internal error occurred: failed calling webhook "create.imagegate.dev": failed to call '


def level_of(
    result: TrialPod, *, policy: str = "Fail", namespace: str = "team"
) -> tuple[Level, str]:
    """Of the remark, and what is to be done."""
    hooks = msgspec.convert(judging(failurePolicy=policy), tuple[Hook, ...])
    remark = trial_remark(result, namespace=namespace, hooks=hooks, exempt=EXEMPT)
    return remark.level, remark.todo


def test_our_refusal_is_what_is_wanted() -> None:
    message = 'admission webhook "create.imagegate.dev" denied the request: image 000: is an id'

    assert level_of(TrialPod(403, message))[0] is Level.GOOD


@pytest.mark.parametrize(
    ("said", "todo"),
    [
        ("webhook: Post: tls: x509: certificate signed by unknown authority", "caBundle"),
        ("webhook: Post: context deadline exceeded", "NetworkPolicy"),
        ("webhook: Post: dial tcp: connect: connection refused", "no webhook is ready"),
        ('webhook: Post: no endpoints available for service "w"', "no webhook is ready"),
        ('webhook: Post: service "imagegate-webhook" not found', "install imagegate"),
        ("webhook: something new", "their log"),
    ],
)
def test_a_call_that_failed_is_bad_and_says_what_to_do(said: str, todo: str) -> None:
    level, advice = level_of(TrialPod(500, FAILED + said))

    assert level is Level.BAD
    assert todo in advice


def test_a_pod_that_would_run_is_bad_and_during_an_audit_a_warning() -> None:
    for status in (200, 201):
        assert level_of(TrialPod(status, ""))[0] is Level.BAD
        assert level_of(TrialPod(status, ""), policy="Ignore")[0] is Level.WARN


def test_while_one_that_is_asked_must_be_waited_for_it_is_no_time_of_audit() -> None:
    hooks = msgspec.convert(
        [*judging(failurePolicy="Ignore"), *judging(failurePolicy="Fail")], tuple[Hook, ...]
    )
    for order in (hooks, hooks[::-1]):
        remark = trial_remark(TrialPod(201, ""), namespace="team", hooks=order, exempt=EXEMPT)
        assert remark.level is Level.BAD


@pytest.mark.parametrize(
    "refused",
    [
        TrialPod(403, 'pods is forbidden: User "eve" cannot create resource "pods"'),
        TrialPod(403, 'admission webhook "other.corp" denied the request: no'),
        TrialPod(500, 'Internal error occurred: failed calling webhook "other.corp": x509'),
        TrialPod(404, 'namespaces "team" not found'),
    ],
)
def test_what_others_refuse_tells_nothing_of_us(refused: TrialPod) -> None:
    assert level_of(refused)[0] is Level.UNASKED


def test_a_namespace_that_is_not_there_is_said_to_be_none() -> None:
    remark = trial_remark(
        TrialPod(404, 'namespaces "team" not found'), namespace="team", hooks=(), exempt=EXEMPT
    )

    assert remark.said == "there is no namespace team"


def test_where_no_webhook_of_ours_is_there_a_pod_that_would_run_is_bad() -> None:
    remark = trial_remark(TrialPod(201, ""), namespace="team", hooks=(), exempt=EXEMPT)

    assert remark.level is Level.BAD


def test_in_an_exempt_namespace_nothing_is_learned() -> None:
    assert level_of(TrialPod(201, ""), namespace="kube-system")[0] is Level.UNASKED


def test_the_pod_asks_for_nothing_that_a_restricted_namespace_refuses() -> None:
    pod = json.loads(trial_pod("team"))

    (container,) = pod["spec"]["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert pod["spec"]["securityContext"]["runAsNonRoot"]
    assert pod["metadata"] == {"name": "imagegate-doctor", "namespace": "team"}
