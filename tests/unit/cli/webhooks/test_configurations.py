"""What `imagegate webhooks apply` makes of the chart's file."""

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.cli.webhooks.configurations import Address, read_wanted
from shared.domain.errors import InvalidSettings
from shared.ports.webhook_configurations import Which
from tests.fakes.certificates import Authority


def configuration(which: Which, *policies: str, installation: str = "gate/one") -> dict[str, Any]:
    service = {"name": "imagegate-webhook", "namespace": "gate", "path": "/validate", "port": 443}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": which.kind,
        "metadata": {
            "name": which.called,
            "annotations": {"imagegate.dev/installation": installation},
        },
        "webhooks": [
            {"name": f"w{place}", "clientConfig": {"service": service}, "failurePolicy": policy}
            for place, policy in enumerate(policies)
        ],
    }


BOTH = [configuration(Which.VALIDATING, "Fail", "Ignore"), configuration(Which.MUTATING, "Ignore")]


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    return Authority(tmp_path / "ca").file


def written(folder: Path, documents: list[dict[str, Any]]) -> Path:
    file = folder / "webhooks.yaml"
    file.write_text(yaml.safe_dump_all(documents))
    return file


def test_the_ca_is_put_into_every_webhook_and_nothing_but_certificates(
    tmp_path: Path, authority: Path
) -> None:
    own = authority.read_text()
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(
        f"# ours\n{own}-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----\n{own}"
    )
    wanted = read_wanted(written(tmp_path, BOTH), authorities=bundle)
    assert wanted.installation == "gate/one"
    assert wanted.addresses == {Address("imagegate-webhook.gate.svc", 443)}
    for document in wanted.documents.values():
        for webhook in document["webhooks"]:
            shown = base64.b64decode(webhook["clientConfig"]["caBundle"]).decode()
            assert shown == own + own


@pytest.mark.parametrize(
    ("policies", "can"), [(("Ignore", "Ignore"), False), (("Ignore", "Fail"), True)]
)
def test_what_can_refuse_is_known(
    policies: tuple[str, ...], can: bool, tmp_path: Path, authority: Path
) -> None:
    file = written(tmp_path, [configuration(Which.VALIDATING, *policies)])
    assert read_wanted(file, authorities=authority).can_refuse is can


def test_a_webhook_without_a_policy_can_refuse_as_kubernetes_has_it(
    tmp_path: Path, authority: Path
) -> None:
    document = configuration(Which.VALIDATING, "Ignore")
    del document["webhooks"][0]["failurePolicy"]
    assert read_wanted(written(tmp_path, [document]), authorities=authority).can_refuse


def changed(**webhook: Any) -> list[dict[str, Any]]:
    document = configuration(Which.VALIDATING, "Fail")
    document["webhooks"][0] |= webhook
    return [document]


@pytest.mark.parametrize(
    ("documents", "says"),
    [
        ([], "ValidatingWebhookConfiguration imagegate is missing"),
        ([BOTH[1]], "ValidatingWebhookConfiguration imagegate is missing"),
        ([BOTH[0], BOTH[0]], "stands there twice"),
        ([{"kind": "Secret", "metadata": {"name": "imagegate"}}], "Secret imagegate is none of"),
        ([*BOTH[:1], configuration(Which.MUTATING, installation="x/y")], "do not say alike"),
        (changed(clientConfig={"url": "http://gate/validate"}), "is no https:// address"),
        (changed(clientConfig={}), "KeyError: 'service'"),
        (["text"], "does not hold the webhook configurations"),
    ],
)
def test_another_file_is_refused_and_named(
    documents: list[Any], says: str, tmp_path: Path, authority: Path
) -> None:
    file = written(tmp_path, documents)
    with pytest.raises(InvalidSettings) as raised:
        read_wanted(file, authorities=authority)
    assert str(file) in str(raised.value)
    assert says in str(raised.value)


def test_aliases_that_stand_for_more_than_any_machine_has_are_refused(
    tmp_path: Path, authority: Path
) -> None:
    file = tmp_path / "webhooks.yaml"
    nested = [f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 9)}]" for at in range(1, 40)]
    file.write_text("\n".join(["a0: &a0 [x]", *nested]))
    with pytest.raises(InvalidSettings, match="its aliases stand for more than"):
        read_wanted(file, authorities=authority)


def test_what_is_no_yaml_is_refused_and_named(tmp_path: Path, authority: Path) -> None:
    file = tmp_path / "webhooks.yaml"
    file.write_text("kind: [")
    with pytest.raises(InvalidSettings, match=r"webhooks\.yaml does not hold .* while parsing"):
        read_wanted(file, authorities=authority)


@pytest.mark.parametrize("text", ["", "nothing", "-----BEGIN CERTIFICATE-----\nAA==\n"])
def test_a_file_without_a_certificate_is_refused_and_named(text: str, tmp_path: Path) -> None:
    file = tmp_path / "ca.crt"
    file.write_text(text)
    with pytest.raises(InvalidSettings, match=r"ca\.crt holds no certificate"):
        read_wanted(written(tmp_path, BOTH), authorities=file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path, authority: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"gone cannot be read: no such file"):
        read_wanted(tmp_path / "gone", authorities=authority)
