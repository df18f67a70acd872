"""What compose.yaml says, run: its commands, its configuration files, its health checks."""

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

from services.cli.show.images import show_images, write_layouts
from tests.deploy.composed import FOLDER, read_compose
from tests.deploy.running import VENV, ComposedSite
from tests.deploy.secrets import make_compose_secrets
from tests.servers.registry import RegistryServer

pytestmark = [pytest.mark.servers, pytest.mark.timeout(180)]

DECIDED_WITHIN = 40.0


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer]:
    """A registry with the images of the show."""
    folder = tmp_path_factory.mktemp("registry")
    with RegistryServer(folder / "server") as server:
        images = show_images()
        write_layouts(folder / "layouts", images)
        for image in images:
            if image.pushed:
                layout = folder / "layouts" / image.repository
                server.push_layout(f"{layout}:{image.tag}", image.reference)
        yield server


@pytest.fixture(scope="module")
def site(
    registry: RegistryServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComposedSite]:
    """compose/ as it is checked out, its secrets made, everything up and well."""
    folder = tmp_path_factory.mktemp("compose") / "compose"
    ignore = shutil.ignore_patterns("secrets", ".env", "__pycache__")
    shutil.copytree(FOLDER, folder, ignore=ignore)
    make_compose_secrets(folder)
    with ComposedSite(read_compose(), folder, registry=registry.host).running() as running:
        yield running


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


def test_a_pod_with_a_good_image_passes_and_one_with_a_bad_image_is_denied(
    site: ComposedSite, registry: RegistryServer
) -> None:
    assert decided(site, f"{registry.host}/team/good:1.0").returncode == 0
    denied = decided(site, f"{registry.host}/team/root:1.0")
    assert denied.returncode == 1
    assert "refused by policy" in denied.stdout


def decided(site: ComposedSite, image: str) -> subprocess.CompletedProcess[str]:
    """The first answer that is not "pending", from the command in README.md."""
    webhook = f"https://127.0.0.1:{site.ports['webhook', 8443]}"
    certificate = str(site.folder / "secrets" / "webhook.crt")
    deadline = time.monotonic() + DECIDED_WITHIN
    while True:
        words = ["review", "--image", image, "--webhook", webhook, "--ca", certificate]
        ran = imagegate(*words)
        if "not judged yet" not in ran.stdout or time.monotonic() > deadline:
            return ran
        time.sleep(0.5)


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
    told = {
        "IMAGEGATE_CONSOLE": f"http://127.0.0.1:{site.ports['console', 8090]}",
        "IMAGEGATE_CONSOLE_TOKEN_FILE": str(site.folder / "secrets" / "console_token"),
    }
    status = imagegate("status", "--output", "json", **told)
    assert status.returncode == 0, status.stderr
    assert imagegate("queue", **told).returncode == 0
    assert imagegate("verdicts", "team/root:1.0", **told).returncode == 0


def test_a_push_event_is_taken_with_the_token_and_only_with_it(
    site: ComposedSite, registry: RegistryServer
) -> None:
    token = (site.folder / "secrets" / "events_token").read_text().strip()
    target = {"repository": "team/expat", "tag": "1.0", "digest": f"sha256:{'0' * 64}"}
    target["mediaType"] = "application/vnd.oci.image.manifest.v1+json"
    event = {"action": "push", "target": target, "request": {"host": registry.host}}
    assert pushed(site, [event], token="another-token-of-some-length") == 401
    assert pushed(site, [event], token=token) == 202
    assert decided(site, f"{registry.host}/team/expat:1.0").returncode == 1


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


def test_the_broker_has_our_user_and_no_guest_and_reads_the_advanced_file(
    site: ComposedSite,
) -> None:
    names = {line.split("\t")[0] for line in site.rabbit.ctl("list_users").splitlines()[1:]}
    assert names == {"imagegate"}
    asked = "application:get_env(rabbit, dead_letter_worker_publisher_confirm_timeout)."
    assert site.rabbit.ctl("eval", asked).strip() == "{ok,10000}"


def test_the_broker_tells_prometheus_and_its_page_wants_a_login(site: ComposedSite) -> None:
    metrics = f"http://127.0.0.1:{site.ports['rabbitmq', 15692]}/metrics"
    page = f"http://127.0.0.1:{site.ports['rabbitmq', 15672]}/api/overview"
    assert status_of(urllib.request.Request(metrics)) == 200
    assert status_of(urllib.request.Request(page)) == 401


def test_nobody_gets_into_redis_without_a_password(site: ComposedSite) -> None:
    with Redis(port=site.redis.port) as nobody, pytest.raises(AuthenticationError):
        nobody.get("ig1:record:anything")
    url = (site.folder / "secrets" / "redis_url_webhook").read_text().strip()
    with Redis.from_url(url) as webhook, pytest.raises(NoPermissionError):
        webhook.flushall()


def test_told_to_stop_each_ends_in_its_time_with_0(site: ComposedSite) -> None:
    """The last one of this file: nothing runs after it."""
    assert set(site.stop().values()) == {0}
