"""What compose.yaml says, run: its commands, its configuration files, its health checks."""

import base64
import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from tests.deploy.composed import FOLDER, read_compose
from tests.deploy.running import VENV, ComposedSite
from tests.deploy.secrets import make_compose_secrets
from tests.fakes.images import Content, tiny_image
from tests.unit.docs.operations import entries

pytestmark = pytest.mark.servers

DECIDED_WITHIN = 40.0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposedSite]:
    """compose/ as it is checked out, its secrets made, everything up and well."""
    folder = tmp_path_factory.mktemp("compose") / "compose"
    ignore = shutil.ignore_patterns("secrets", ".env", "__pycache__")
    shutil.copytree(FOLDER, folder, ignore=ignore)
    make_compose_secrets(folder)
    with ComposedSite(read_compose("demo/compose.yaml"), folder).running() as running:
        yield running


def demo_image(*, user: str = "", label: str = "") -> Content:
    """What `docker build --build-arg USER=... compose/demo` makes."""
    text = (FOLDER / "demo" / "Dockerfile").read_text()
    (default,) = re.findall(r"^ARG USER=(\w+)$", text, re.MULTILINE)
    (command,) = re.findall(r"^CMD (.+)$", text, re.MULTILINE)
    files = {
        target.lstrip("/"): (FOLDER / "demo" / source).read_bytes()
        for source, target in re.findall(r"^COPY (\S+) (\S+)$", text, re.MULTILINE)
    }
    config = {"User": user or default, "Cmd": json.loads(command), "Labels": {"n": label}}
    return tiny_image(files=files, config=config)


def test_all_of_it_is_up_and_well_by_its_own_health_checks(site: ComposedSite) -> None:
    assert set(site.processes) == {
        "scanner 1",
        "webhook 1",
        "worker 1",
        "worker 2",
        "intake 1",
        "console 1",
    }
    assert [name for name, running in site.processes.items() if not running.well()] == []
    assert site.redis.answers()
    assert site.broker_is_well()


def test_a_pod_with_a_good_image_passes_and_one_that_runs_as_root_is_denied(
    site: ComposedSite,
) -> None:
    good = site.registry.push(demo_image(), "demo/good:1.0")
    bad = site.registry.push(demo_image(user="root"), "demo/root:1.0")
    passed = decided(site, str(good))
    assert passed.returncode == 0, passed.stdout
    denied = decided(site, str(bad))
    assert denied.returncode == 1
    assert "User root found as effective user" in denied.stdout


def test_an_operator_lets_a_denied_image_run_and_takes_that_back(site: ComposedSite) -> None:
    """`docker compose run operator ...`: its Redis user, the ring, and a key from elsewhere."""
    bad = str(site.registry.push(demo_image(user="root", label="x"), "demo/excepted:1.0"))
    assert decided(site, bad).returncode == 1
    words = ("--namespace", "default", "--for", "1h", "--reason", "the site is down")
    assert operator(site, "allow", bad, *words).startswith(f"{bad} named sha256:")
    assert settled(site, bad, code=0)
    (row,) = json.loads(operator(site, "exceptions", "list", "--output", "json"))
    operator(site, "exceptions", "revoke", row["id"])
    assert settled(site, bad, code=1)


def operator(site: ComposedSite, *words: str) -> str:
    secrets = site.folder / "secrets"
    keys = {"IMAGEGATE_KEYS": str(secrets), "IMAGEGATE_OPERATOR_KEYS": str(secrets)}
    ran = imagegate(*words, REDIS_URL_FILE=str(secrets / "redis_url_operator"), **keys)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def settled(site: ComposedSite, image: str, *, code: int) -> bool:
    deadline = time.monotonic() + DECIDED_WITHIN
    while review(site, image).returncode != code:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    return True


def decided(site: ComposedSite, image: str) -> subprocess.CompletedProcess[str]:
    """The first answer that is not "pending"."""
    deadline = time.monotonic() + DECIDED_WITHIN
    while True:
        ran = review(site, image)
        if "not judged yet" not in ran.stdout or time.monotonic() > deadline:
            return ran
        time.sleep(0.5)


def review(site: ComposedSite, image: str) -> subprocess.CompletedProcess[str]:
    """The command in README.md."""
    webhook = f"https://127.0.0.1:{site.ports['webhook', 8443]}"
    certificate = str(site.folder / "secrets" / "webhook.crt")
    return imagegate("review", "--image", image, "--webhook", webhook, "--ca", certificate)


def imagegate(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """The command on the host."""
    return subprocess.run(
        [str(VENV / "imagegate"), *words],
        env={"PATH": os.defpath, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_on_the_host_asks_the_console(site: ComposedSite) -> None:
    told = console_of(site)
    status = imagegate("status", "--output", "json", **told)
    assert status.returncode == 0, status.stderr
    assert imagegate("queue", **told).returncode == 0
    assert imagegate("verdicts", "demo/root:1.0", **told).returncode == 0


def console_of(site: ComposedSite) -> dict[str, str]:
    """What README.md has a person export."""
    return {
        "IMAGEGATE_CONSOLE": f"http://127.0.0.1:{site.ports['console', 8090]}",
        "IMAGEGATE_CONSOLE_TOKEN_FILE": str(site.folder / "secrets" / "console_token"),
    }


def test_a_pushed_image_is_judged_before_anybody_asks(site: ComposedSite) -> None:
    """The registry of the demonstration tells the intake by itself."""
    warm = site.registry.push(demo_image(label="warm"), "demo/warm:1.0")
    deadline = time.monotonic() + DECIDED_WITHIN
    while '"pass"' not in verdicts_of(site, "demo/warm:1.0"):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert review(site, str(warm)).returncode == 0


def verdicts_of(site: ComposedSite, image: str) -> str:
    return imagegate("verdicts", image, "--output", "json", **console_of(site)).stdout


def test_an_event_with_another_token_is_refused(site: ComposedSite) -> None:
    assert pushed(site, [], token="another-token-of-some-length") == 401
    token = (site.folder / "secrets" / "events_token").read_text().strip()
    assert pushed(site, [], token=token) == 202


def pushed(site: ComposedSite, events: list[Mapping[str, object]], *, token: str) -> int:
    """The intake's answer to a registry's notification."""
    call = urllib.request.Request(
        f"http://127.0.0.1:{site.ports['intake', 8088]}/events/distribution",
        data=json.dumps({"events": events}).encode(),
        headers={"Authorization": f"Bearer {token}"},
    )
    return status_of(call)


def status_of(call: urllib.request.Request) -> int:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(call, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_the_broker_has_a_user_for_each_service_and_no_guest_and_reads_the_advanced_file(
    site: ComposedSite,
) -> None:
    names = {line.split("\t")[0] for line in site.rabbit.ctl("list_users").splitlines()[1:]}
    assert names == {"webhook", "worker", "intake", "console", "operator"}
    asked = "application:get_env(rabbit, dead_letter_worker_publisher_confirm_timeout)."
    assert site.rabbit.ctl("eval", asked).strip() == "{ok,10000}"


def test_the_broker_tells_prometheus_and_its_page_wants_a_login(site: ComposedSite) -> None:
    metrics = f"http://127.0.0.1:{site.ports['rabbitmq', 15692]}/metrics"
    page = f"http://127.0.0.1:{site.ports['rabbitmq', 15672]}/api/overview"
    assert status_of(urllib.request.Request(metrics)) == 200
    assert status_of(urllib.request.Request(page)) == 401


def test_only_the_operator_may_look_at_the_brokers_page(site: ComposedSite) -> None:
    page = f"http://127.0.0.1:{site.ports['rabbitmq', 15672]}/api/overview"
    for name, code in (("operator", 200), ("worker", 401)):
        url = urlsplit((site.folder / "secrets" / f"amqp_url_{name}").read_text().strip())
        login = base64.b64encode(f"{url.username}:{url.password}".encode()).decode()
        call = urllib.request.Request(page, headers={"Authorization": f"Basic {login}"})
        assert status_of(call) == code, name


def test_nobody_gets_into_redis_without_a_password(site: ComposedSite) -> None:
    with Redis(port=site.redis.port) as nobody, pytest.raises(AuthenticationError):
        nobody.get("ig1:record:anything")
    url = (site.folder / "secrets" / "redis_url_webhook").read_text().strip()
    with Redis.from_url(url) as webhook, pytest.raises(NoPermissionError):
        webhook.flushall()


def test_all_that_the_processes_export_is_explained_to_operators(site: ComposedSite) -> None:
    """docs/operations.md, after all that the tests before this one did."""
    explained = entries()
    for name, running in site.processes.items():
        if name.startswith("scanner"):
            continue
        with urllib.request.urlopen(running.check[-1].replace("/readyz", "/metrics")) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        assert families
        for family in families:
            entry = explained[f"{family.name}{'_total' if family.type == 'counter' else ''}"]
            for sample in family.samples:
                told = {label: sample.labels[label] for label in entry.labels}
                assert set(sample.labels) - {"le"} == set(told), sample
                for label, value in told.items():
                    status = family.name == "imagegate_anchore_calls" and value.isdecimal()
                    assert status or value in entry.labels[label], sample


def test_told_to_stop_each_ends_in_its_time_with_0(site: ComposedSite) -> None:
    """The last one of this file: nothing runs after it."""
    assert set(site.stop().values()) == {0}
