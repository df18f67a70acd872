"""imagegate in a cluster: a real API server asks a real webhook, and all stands behind it.

Redis, RabbitMQ, docker-registry; the built-in scanner, a worker and a webhook as processes. They
are not pods, since there is no node; the API server asks the webhook by its URL.
"""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from tests.e2e.admission import configurations
from tests.e2e.late_registry import LateRegistry
from tests.fakes.certificates import server_certificate
from tests.fakes.images import Content
from tests.functional.scanner.images import BASE_FILES, NETBASE, OPENSSH, debian_image
from tests.servers.kubernetes import KubernetesServer, Ran
from tests.servers.kubernetes_processes import ADMIN, PERSON, PIPELINE
from tests.servers.ports import free_ports
from tests.servers.process import ServerProcess
from tests.servers.rabbitmq import RabbitServer
from tests.servers.redis import RedisServer
from tests.servers.registry import RegistryServer

IMAGEGATE = str(Path(sys.executable).parent / "imagegate")
PATIENCE = 60.0
DRAIN = 20.0
LATE = "(Redis) does not answer"
LATE_AT_MOST = 10

RULES = """\
apiVersion: imagegate.dev/v1
rules:
  - name: shells
    match: {{namespaces: ["shells-*"]}}
    mode: enforce
    policy: {{id: shells-allowed}}
default: {{mode: enforce, require: policy}}
registries:
  - {{host: "{registry}", insecure: true}}
  - {{host: "{late}", insecure: true}}
"""
SHELLS = "shells-"
"""In namespaces that begin so another policy holds, which lets openssh-server be installed."""


class Service(ServerProcess):
    """One process of ours. Told to end, it may finish what it has in hand."""

    start_within = 60.0

    def __init__(self, folder: Path, name: str, *, own_port: str, probe: str, **told: str) -> None:
        """`own_port`: the setting of the port that `probe` is asked at."""
        super().__init__(folder)
        self.name = name
        self._own_port = own_port
        self._probe = probe
        self._told = told

    def command_line(self) -> list[str]:
        return [IMAGEGATE, self.name]

    def environment(self) -> dict[str, str]:
        return self._told | {self._own_port: str(self.port)}

    def answers(self) -> bool:
        return _answers(f"http://127.0.0.1:{self.port}{self._probe}")

    def kill(self) -> None:
        """SIGTERM, so that its own children end too; kill -9 if that takes too long."""
        process, self.process = self.process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=DRAIN)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=10)


class Site:
    """`with Site(folder).running() as site`. What it offers blocks: tests are plain functions.

    It has a cluster of its own, for its webhook is asked about every pod there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster = KubernetesServer(folder / "kubernetes")
        # What it wrote outlives kill -9 without being flushed to the disk.
        flush = ("--appendfsync", "no")
        self.redis = RedisServer(folder / "redis", persistent=True, arguments=flush)
        self.rabbit = RabbitServer(folder / "rabbit")
        self.registry = RegistryServer(folder / "registry")
        self.late = LateRegistry()
        folder.mkdir(parents=True, exist_ok=True)
        self.ca_file, self.certificate = server_certificate(folder)
        self.reviews = free_ports("reviews")["reviews"]
        self.told: dict[str, str] = {}
        """Of every process of ours."""
        self._digests: dict[str, str] = {}

    @contextmanager
    def running(self) -> Iterator["Site"]:
        """Start all of it; the API server asks the webhook from here on."""
        with ExitStack() as stack:
            stack.enter_context(self.cluster)
            for server in (self.redis, self.registry, self.late):
                stack.enter_context(server)
            stack.callback(self.rabbit.stop)
            self.rabbit.start()
            self._tell()
            self.scanner = stack.enter_context(self._scanner())
            self.told["ANCHORE_URL"] = f"http://127.0.0.1:{self.scanner.port}"
            self._put_policy()
            self.worker = stack.enter_context(self._service("worker"))
            self.webhook = stack.enter_context(self._webhook())
            self.ask_webhook(self.ca_file)
            self.slow = self.held_image("team/slow:1")
            self._ask_for_slow()
            yield self

    @property
    def url(self) -> str:
        """Of the webhook."""
        return f"https://127.0.0.1:{self.reviews}"

    def namespace(self, name: str) -> str:
        """A new one."""
        made = self.cluster.kubectl("create", "namespace", name)
        assert made.code == 0, made
        return name

    def images_of(self, namespace: str, pod: str = "p") -> list[str]:
        """Of the containers of a pod, as they are stored."""
        spec = self.cluster.get("pod", pod, namespace=namespace)["spec"]
        return [container["image"] for container in spec["containers"]]

    def run(self, image: str, namespace: str, *options: str, name: str = "p") -> Ran:
        """`kubectl run` as a person does it."""
        command = ("run", name, f"--image={image}", f"--namespace={namespace}", *options)
        return self.kubectl(*command)

    def kubectl(self, *arguments: str, user: str = PERSON, stdin: str = "") -> Ran:
        """As a person who tries again when he is told that Redis does not answer.

        It has 100 ms, and is late at times on a busy machine.
        """
        ran = self.cluster.kubectl(*arguments, user=user, stdin=stdin)
        for _ in range(LATE_AT_MOST):
            if LATE not in ran.err:
                break
            ran = self.cluster.kubectl(*arguments, user=user, stdin=stdin)
        return ran

    def start_webhook(self) -> None:
        """On the port that the API server knows, after a test has stopped it."""
        self.webhook.start_again()
        self._ask_for_slow()

    def ask_webhook(self, *ca_files: Path) -> None:
        """Have the API server ask it about pods, knowing its certificate by `ca_files`."""
        applied = self.cluster.apply(*configurations(self.url, *ca_files))
        assert applied.code == 0, applied

    def image(self, name: str, *stanzas: str) -> str:
        """Push a Debian image with these packages as `PATH:TAG`: what names it in a pod.

        No two are the same, whatever is in them. Moves the tag if it was there.
        """
        content = _unlike_any(*stanzas)
        image = str(self.registry.push(content, name))
        self._digests[image] = content.digest
        return image

    def bad_image(self, name: str) -> str:
        """One that the policy refuses."""
        return self.image(name, OPENSSH)

    def held_image(self, name: str, *stanzas: str) -> str:
        """One whose scan does not end before `late.release(image)`."""
        content = _unlike_any(*stanzas)
        image = self.late.hold(content, name)
        self._digests[image] = content.digest
        return image

    def pinned(self, image: str) -> str:
        """With the digest that was pushed last."""
        return f"{image}@{self._digests[image]}"

    @property
    def good(self) -> str:
        """One that was judged good, and that the webhook has in mind."""
        return self._in_mind(self._good)

    @property
    def bad(self) -> str:
        """One that was judged bad, and that the webhook has in mind."""
        return self._in_mind(self._bad)

    def denied(self, image: str) -> bool:
        """Whether a webhook has refused a pod with it."""
        return any(
            not each["allowed"] and any(seen.startswith(image) for seen in each["images"])
            for each in self.decisions()
        )

    def decisions(self) -> list[dict[str, Any]]:
        """The last ones, as `imagegate decisions` shows them."""
        ran = self.imagegate("decisions", "--limit=500", "--output=json")
        return [each["decision"] for each in ran.json]

    def judged(self, image: str) -> str:
        """The image, once a worker has judged it by every policy that a rule may ask."""
        ran = self.imagegate("scan", image, "--wait")
        assert ran.code in (0, 1), ran
        return image

    def imagegate(self, *arguments: str) -> Ran:
        """Run a command of an operator, who is told what the processes are."""
        ran = subprocess.run(
            [IMAGEGATE, *arguments],
            env={"PATH": os.defpath, **self.told},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def chart(self, name: str, image: str) -> Path:
        """A Helm chart of one pod."""
        folder = self.folder / "charts" / name
        (folder / "templates").mkdir(parents=True)
        (folder / "Chart.yaml").write_text(f"{{apiVersion: v2, name: {name}, version: 1.0.0}}")
        (folder / "templates" / "pod.yaml").write_text(
            f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\n"
            f"spec: {{containers: [{{name: app, image: '{image}'}}]}}\n"
        )
        return folder

    @cached_property
    def _good(self) -> str:
        return self.judged(self.image("team/known-good:1"))

    @cached_property
    def _bad(self) -> str:
        return self.judged(self.bad_image("team/known-bad:1"))

    def _in_mind(self, image: str) -> str:
        self.run(image, "default", "--dry-run=server")
        return image

    def _tell(self) -> None:
        rules = self.folder / "rules.yaml"
        rules.write_text(RULES.format(registry=self.registry.host, late=self.late.host))
        self.told = {
            "REDIS_URL": self.redis.url,
            "AMQP_URL": self.rabbit.url,
            "IMAGEGATE_STATE": str(self.folder / "state"),
            "IMAGEGATE_RULES": str(rules),
            "IMAGEGATE_LOG_LEVEL": "WARNING",
        }

    def _scanner(self) -> Service:
        return Service(
            self.folder / "scanner",
            "scanner",
            own_port="IMAGEGATE_SCANNER_PORT",
            probe="/health",
            **self.told,
            IMAGEGATE_HEALTH_PORT=str(free_ports("health")["health"]),
            # Those that a test holds must not keep the others waiting.
            IMAGEGATE_SCANNER_ANALYSES="8",
            IMAGEGATE_SCANNER_PULL_SECONDS="3600",
        )

    def _webhook(self) -> Service:
        return self._service(
            "webhook",
            IMAGEGATE_PORT=str(self.reviews),
            IMAGEGATE_CERTIFICATE=str(self.certificate.certificate),
            IMAGEGATE_CERTIFICATE_KEY=str(self.certificate.key),
        )

    def _service(self, name: str, **told: str) -> Service:
        own_port, probe = "IMAGEGATE_HEALTH_PORT", "/readyz"
        folder = self.folder / name
        return Service(folder, name, own_port=own_port, probe=probe, **self.told, **told)

    def _ask_for_slow(self) -> None:
        """A webhook remembers since when it has asked for an image, as long as it lives."""
        asked = self.kubectl("run", "slow", f"--image={self.slow}", f"--as={PIPELINE}", user=ADMIN)
        assert asked.code == 1, asked
        self.slow_since = time.monotonic()

    def _put_policy(self) -> None:
        """The one of the rule for shells: the four rules without the one about openssh-server."""
        printed = self.imagegate("policies", "baseline")
        policy = msgspec.json.decode(printed.out)
        (rules,) = (each["rules"] for each in policy["policies"])
        rules[:] = [rule for rule in rules if rule["gate"] != "packages"]
        policy["id"] = "shells-allowed"
        file = self.folder / "shells-allowed.json"
        file.write_bytes(msgspec.json.encode(policy))
        pushed = self.imagegate("policies", "push", str(file), "--no-activate")
        assert pushed.code == 0, pushed


def _unlike_any(*stanzas: str) -> Content:
    # Random, so that it stays as large when it is compressed.
    return debian_image(BASE_FILES, NETBASE, *stanzas, files={"srv/unlike": os.urandom(4_096)})


@contextmanager
def in_background(work: Callable[[], Ran]) -> Iterator["Future[Ran]"]:
    """Run it beside the block, which waits for its end in any case."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        yield pool.submit(work)


def persist(work: Callable[[], Ran], *, within: float = PATIENCE) -> Ran:
    """Run it again until its exit code is 0; how it ended at last."""
    ended: list[Ran] = []

    def succeeds() -> bool:
        ended.append(work())
        return not ended[-1].code

    until(succeeds, within=within)
    return ended[-1]


def until(condition: Callable[[], bool], *, within: float = PATIENCE) -> bool:
    """Whether `condition` comes to hold in that time."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except OSError:
        return False
