"""What an operator is told before imagegate may refuse anything, of a real cluster.

The webhook of the site's cluster judges all but exempt namespaces, so that bad images come in where
they run unjudged: the tests name their namespaces exempt while they fill them.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.site import IMAGEGATE, Site, until
from tests.servers.kubernetes import Ran
from tests.servers.kubernetes_processes import PERSON

WITHIN = 180.0
CONFIGURATIONS = "validatingwebhookconfigurations,mutatingwebhookconfigurations"
JOB = """\
apiVersion: batch/v1
kind: CronJob
metadata: {{name: nightly, namespace: {team}}}
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec:
      template:
        spec: {{restartPolicy: Never, containers: [{{name: job, image: "{image}"}}]}}
"""


def prewarm(site: Site, *options: str, stdin: str = "", **environ: str) -> Ran:
    """Run it as an operator with the cluster's kubeconfig, who gets JSON."""
    ran = subprocess.run(
        [IMAGEGATE, "prewarm", "--output=json", f"--timeout={WITHIN}", *options],
        env={
            "PATH": os.defpath,
            "KUBECONFIG": str(site.cluster.kubeconfig),
            **site.told,
            **environ,
        },
        cwd=site.folder,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=2 * WITHIN,
        check=False,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def told(ran: Ran) -> dict[str, Any]:
    """The report, whatever the exit code is."""
    assert ran.out.startswith("{"), ran
    found: dict[str, Any] = json.loads(ran.out)
    return found


def about(ran: Ran, image: str) -> dict[str, Any]:
    """The row of one image."""
    (row,) = [each for each in told(ran)["images"] if each["image"] == image]
    return dict(row)


@contextmanager
def unjudged(site: Site) -> Iterator[None]:
    """Before enforcement: the API server asks no webhook."""
    cluster = site.cluster
    assert (ran := cluster.kubectl("delete", CONFIGURATIONS, "--all")).code == 0, ran
    try:
        yield
    finally:
        site.ask_webhook(site.ca_file)


@pytest.fixture
def filled(site: Site, team: str) -> dict[str, str]:
    """Images that run, or are to run, in the team's namespace."""
    images = {
        "runs": site.image(f"{team}/runs:1"),
        "bad": site.bad_image(f"{team}/runs-bad:1"),
        "none": site.image(f"{team}/no-replicas:1"),
        "night": site.bad_image(f"{team}/nightly:1"),
    }
    cluster = site.cluster
    with unjudged(site):
        for name, image, replicas in (
            ("web", images["runs"], 2),
            ("api", images["bad"], 1),
            ("none", images["none"], 0),
        ):
            made = cluster.kubectl(
                "create",
                "deployment",
                name,
                f"--image={image}",
                f"--replicas={replicas}",
                f"--namespace={team}",
            )
            assert made.code == 0, made
        job = JOB.format(team=team, image=images["night"])
        assert (ran := cluster.kubectl("apply", "--filename=-", stdin=job)).code == 0, ran
        assert until(lambda: len(_pods(site, team)) == 3), cluster.said()
    return images


def _pods(site: Site, team: str) -> list[Any]:
    items = site.cluster.kubectl("get", "pods", f"--namespace={team}", "--output=json").json
    return list(items["items"])


def test_what_runs_and_what_is_to_run_is_judged_and_told(
    site: Site, team: str, filled: dict[str, str]
) -> None:
    ran = prewarm(site, "--cluster")

    assert ran.code == 1, ran
    bad = about(ran, filled["bad"])
    assert (bad["outcome"], bad["pods"], bad["workloads"]) == ("fail", 1, 1)
    assert "openssh-server" in bad["findings"][0]
    assert f"Deployment {team}/api" in bad["objects"]
    good = about(ran, filled["runs"])
    assert (good["outcome"], good["pods"], good["workloads"]) == ("pass", 2, 1)
    assert about(ran, filled["none"])["outcome"] == "pass"
    night = about(ran, filled["night"])
    assert (night["outcome"], night["pods"]) == ("fail", 0)
    assert night["objects"] == [f"CronJob {team}/nightly"]


def test_a_forecast_comes_true(site: Site, team: str, filled: dict[str, str]) -> None:
    assert about(prewarm(site, "--cluster"), filled["bad"])["allowed"] is False

    restarted = site.cluster.kubectl("delete", "pods", "--all", f"--namespace={team}")

    assert restarted.code == 0, restarted
    # The good ones come back by themselves and pinned; the other does not.
    assert until(lambda: len(_pods(site, team)) == 2)
    images = {pod["spec"]["containers"][0]["image"] for pod in _pods(site, team)}
    assert images == {site.pinned(filled["runs"])}


def test_a_second_run_asks_for_nothing(site: Site, filled: dict[str, str]) -> None:
    def verdicts(ran: Ran) -> dict[str, str]:
        # What other tests had run goes away meanwhile.
        rows = told(ran)["images"]
        return {row["image"]: row["digest"] for row in rows if row["image"] in filled.values()}

    first = prewarm(site, "--cluster")
    again = prewarm(site, "--cluster", "--timeout=0")
    assert verdicts(again) == verdicts(first)
    assert set(verdicts(first)) == set(filled.values())
    assert told(again)["finished"] is True


def test_exempt_namespaces_are_those_of_the_webhooks_own_configuration(site: Site) -> None:
    image = site.bad_image("team/exempt:1")
    made = site.cluster.kubectl(
        "run", "exempt", f"--image={image}", "--namespace=kube-system", "--restart=Never"
    )
    assert made.code == 0, made
    try:
        ran = prewarm(site, "--cluster")
        assert image not in {row["image"] for row in told(ran)["images"]}
        assert told(ran)["exempt"]["kube-system"] >= 1
        assert told(ran)["notes"] == []
    finally:
        site.cluster.kubectl("delete", "pod", "exempt", "--namespace=kube-system", "--wait=false")


def test_the_output_of_helm_is_judged_before_it_is_installed(site: Site, team: str) -> None:
    image = site.bad_image("team/charted:1")
    chart = site.chart("charted", image)
    rendered = site.cluster.helm("template", "charted", chart, "--namespace", team)
    assert rendered.code == 0, rendered

    ran = prewarm(site, "--manifests=-", f"--namespace={team}", stdin=rendered.out)

    assert ran.code == 1, ran
    assert about(ran, image)["namespaces"] == [team]


def test_an_exec_plugin_gives_the_credentials(
    site: Site, tmp_path: Path, filled: dict[str, str]
) -> None:
    content = yaml.safe_load(site.cluster.kubeconfig.read_text())
    (token,) = (each["user"]["token"] for each in content["users"] if each["name"] == "admin")
    plugin = tmp_path / "login"
    plugin.write_text(
        f"#!{sys.executable}\nimport json, os\n"
        'info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])\n'
        'assert info["spec"]["cluster"]["server"] == ' + repr(site.cluster.url) + "\n"
        'print(json.dumps({"kind": "ExecCredential", "apiVersion": info["apiVersion"],\n'
        f'    "status": {{"token": {token!r}, "expirationTimestamp": "2999-01-01T00:00:00Z"}}}}))\n'
    )
    plugin.chmod(0o755)
    for user in content["users"]:
        user["user"] = {
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": "./login",
                "interactiveMode": "Never",
                "provideClusterInfo": True,
            }
        }
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(yaml.safe_dump(content))

    ran = prewarm(site, "--cluster", f"--kubeconfig={kubeconfig}")

    assert about(ran, filled["runs"])["outcome"] == "pass", ran
    # Its token is good for kubectl, too: what it is told is what kubectl tells it.
    assert site.cluster.kubectl("get", "pods", f"--kubeconfig={kubeconfig}").code == 0


def test_who_may_not_list_pods_is_told_what_is_missing(site: Site, tmp_path: Path) -> None:
    content = yaml.safe_load(site.cluster.kubeconfig.read_text())
    nobody = {"name": "nobody", "user": {"token": "made-up"}}
    content["users"].append(nobody)
    content["contexts"].append({"name": "n", "context": {"cluster": "tests", "user": "nobody"}})
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text(yaml.safe_dump(content))

    ran = prewarm(site, "--cluster", f"--kubeconfig={kubeconfig}", "--context=n")

    assert ran.code == 2, ran
    assert "answered 401" in ran.err, ran
    assert "kubectl --context n get pods" in ran.err, ran


def test_a_person_who_may_not_read_webhook_configurations_is_told_what_that_means(
    site: Site, filled: dict[str, str]
) -> None:
    ran = prewarm(site, "--cluster", f"--context={PERSON}")

    assert about(ran, filled["bad"])["outcome"] == "fail", ran
    (note,) = told(ran)["notes"]
    assert note.startswith("which namespaces are exempt is not known: kube-system is taken to be")
