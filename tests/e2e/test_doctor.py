"""`imagegate doctor` of a real cluster: one with imagegate, and one that has never heard of it."""

import json
import re
from pathlib import Path
from typing import Any

from tests.e2e.site import Site
from tests.servers.kubernetes import KubernetesServer, Ran

WEBHOOK = "validatingwebhookconfiguration"
PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def remarks(ran: Ran) -> list[Any]:
    """All that was said."""
    assert ran.code in (0, 1), ran
    return list(json.loads(ran.out)["remarks"])


def said(ran: Ran, level: str) -> list[str]:
    """What was said of that level."""
    return [f"{each['part']}: {each['said']}" for each in remarks(ran) if each["level"] == level]


def doctor(site: Site, *options: str, kubeconfig: Path | None = None) -> Ran:
    """As a cluster's administrator."""
    config = kubeconfig or site.cluster.kubeconfig
    return site.imagegate("doctor", f"--kubeconfig={config}", "--output=json", *options)


def test_a_cluster_with_imagegate_is_as_it_should_be(site: Site, team: str) -> None:
    ran = doctor(site, f"--namespace={team}")

    assert said(ran, "bad") == [], ran
    assert said(ran, "not asked") == [], ran
    assert ran.code == 0, ran
    good = said(ran, "good")
    assert f"a pod on trial: imagegate was asked about a pod in {team}, and refused it" in good
    assert "webhook configuration: imagegate is asked about ephemeral containers" in good
    # The tests' certificates live for a day.
    warned = said(ran, "warn")
    assert any("the CA bundle of create.imagegate.dev ends in" in each for each in warned)
    assert any("the webhook's certificate ends in" in each for each in warned)
    assert any(each.startswith("scanner: imagegate-scanner") for each in good)


def test_the_rights_that_the_page_names_are_enough_for_all_that_it_asks(
    site: Site, team: str, tmp_path: Path
) -> None:
    kubectl = site.cluster.kubectl
    making = re.findall(
        r"^kubectl (create clusterrole imagegate-doctor.*)$", PAGE.read_text(), re.M
    )
    who = f"--serviceaccount={team}:doctor"
    where = f"--namespace={team}"
    for words in (
        *(line.split() for line in making),
        ["create", "serviceaccount", "doctor", where],
        ["create", "clusterrolebinding", "doctor", "--clusterrole=imagegate-doctor", who],
        ["create", "rolebinding", "doctor", "--clusterrole=imagegate-doctor-trial", who, where],
    ):
        assert (made := kubectl(*words)).code == 0, made
    config = tmp_path / "kubeconfig"
    config.write_bytes(site.cluster.kubeconfig.read_bytes())
    token = kubectl("create", "token", "doctor", where).out.strip()
    of = f"--kubeconfig={config}"
    assert kubectl(of, "config", "set-credentials", "doctor", f"--token={token}").code == 0
    assert kubectl(of, "config", "set-context", "--current", "--user=doctor").code == 0

    ran = doctor(site, where, kubeconfig=config)

    assert said(ran, "not asked") == [], ran
    assert f"a pod on trial: imagegate was asked about a pod in {team}, and refused it" in said(
        ran, "good"
    )


def test_the_trial_leaves_no_pod(site: Site, team: str) -> None:
    doctor(site, f"--namespace={team}")

    assert site.cluster.kubectl("get", "pods", f"--namespace={team}").out == ""


def test_an_exempt_namespace_is_no_place_for_a_trial(site: Site) -> None:
    ran = doctor(site, "--namespace=kube-system")

    assert "a pod on trial: kube-system is exempt: nothing there is judged" in said(
        ran, "not asked"
    )


def test_a_cluster_without_imagegate_is_told_so(site: Site, cluster: KubernetesServer) -> None:
    ran = doctor(site, kubeconfig=cluster.kubeconfig)

    assert ran.code == 1, ran
    bad = said(ran, "bad")
    assert any("nothing is judged" in each for each in bad), bad
    assert any(each.startswith("a pod on trial: a pod in default that imagegate") for each in bad)


def test_a_webhook_that_is_not_believed_is_found_by_its_error(site: Site, team: str) -> None:
    ours = site.cluster.get(WEBHOOK, "imagegate")
    other = site.cluster.ca_file
    try:
        site.ask_webhook(other)
        ran = doctor(site, f"--namespace={team}")
    finally:
        site.ask_webhook(site.ca_file)

    assert ran.code == 1, ran
    (trial,) = [each for each in remarks(ran) if each["part"] == "a pod on trial"]
    assert trial["level"] == "bad", trial
    assert "x509" in trial["said"]
    assert "caBundle" in trial["todo"]
    assert site.cluster.get(WEBHOOK, "imagegate")["webhooks"] == ours["webhooks"]
