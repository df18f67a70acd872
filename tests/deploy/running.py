"""compose.yaml at work without Docker: its commands, its configuration, its health checks.

What is changed on the way is only what one machine forces: names of hosts become the loopback
address, ports become free ones, and paths of a container become paths below a folder that holds
exactly what compose mounts there.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec

from shared.runtime.settings import Port
from tests.deploy.composed import Compose, mounts, ours, told_by
from tests.deploy.told import SETTINGS, Told, fields, lay_out
from tests.servers.ports import free_ports
from tests.servers.process import ServerProcess, executable
from tests.servers.rabbitmq import RabbitServer
from tests.servers.registry import RegistryServer

VENV = Path(sys.executable).parent
WELL_WITHIN = 45.0
POLL = 0.2


class ComposedRedis(ServerProcess):
    """The redis of compose.yaml: its command line, its configuration, its users."""

    name = "redis-server"

    def __init__(self, folder: Path, *, command: list[str], check: list[str]) -> None:
        super().__init__(folder)
        self._command = command
        self._check = check

    def command_line(self) -> list[str]:
        program, configuration = self._command
        text = Path(configuration).read_text().replace("port 6379", f"port {self.port}")
        own = self.folder / "redis.conf"
        own.write_text(text)
        return [executable(program), str(own), "--bind", "127.0.0.1"]

    def answers(self) -> bool:
        return not subprocess.run(self.check(), capture_output=True, check=False).returncode

    def check(self) -> list[str]:
        """The health check, for the port of here."""
        words = [str(self.port) if word == "6379" else word for word in self._check]
        return [executable(words[0]), *words[1:]]


class ComposedRegistry(RegistryServer):
    """The registry of the demonstration: its configuration, by Debian's docker-registry."""

    def __init__(self, folder: Path, *, configuration: Callable[[int], str]) -> None:
        super().__init__(folder)
        self._of_port = configuration

    def _configuration(self) -> str:
        return self._of_port(self.port)


class Running(msgspec.Struct, frozen=True):
    """One of our processes."""

    name: str
    process: subprocess.Popen[bytes]
    check: list[str]
    environ: dict[str, str]
    log: Path

    def well(self) -> bool:
        """Whether its health check passes, run as Docker runs it."""
        ran = subprocess.run(self.check, env=self.environ, capture_output=True, check=False)
        return ran.returncode == 0

    def wait_until_well(self) -> None:
        """Raises AssertionError with its last words."""
        deadline = time.monotonic() + WELL_WITHIN
        while not self.well():
            said = self.log.read_text(errors="replace")[-2_000:]
            assert self.process.poll() is None, f"{self.name} ended: {said}"
            assert time.monotonic() < deadline, f"{self.name} is not well: {said}"
            time.sleep(POLL)


class ComposedSite:
    """Everything of compose.yaml and demo/compose.yaml (profile scanner), on the loopback address.

    `folder` is a copy of compose/ with its secrets made; `compose` is what is read of it.
    """

    def __init__(self, compose: Compose, folder: Path) -> None:
        self.compose = compose
        self.folder = folder
        self.processes: dict[str, Running] = {}
        self.ports: dict[tuple[str, int], int] = {}
        """(service, port in its container) -> port here; of replicas the last one's."""
        self._roots = folder.parent / "containers"

    @contextmanager
    def running(self) -> Iterator["ComposedSite"]:
        """Started in the order of depends_on, and stopped at the end whatever happened."""
        told = {
            f"{name} {number + 1}": self._told(name, f"{name} {number + 1}")
            for name in sorted(ours(self.compose), key=lambda name: name != "scanner")
            for number in range(self._replicas(name))
        }
        places = {own: self._places(of) for own, of in told.items()}
        with ExitStack() as stack:
            self.redis = stack.enter_context(self._redis())
            self.rabbit = self._rabbit()
            stack.callback(self.rabbit.stop)
            self.rabbit.start()
            self.registry = stack.enter_context(self._registry())
            self.ports["redis", 6379] = self.redis.port
            self.ports["rabbitmq", 5672] = self.rabbit.port
            self.ports["registry", 5000] = self.registry.port
            self._rewrite_files()
            stack.callback(self._kill)
            for own, of in told.items():
                self._start(own, of, places[own])
                if of.command == ("scanner",):
                    self.processes[own].wait_until_well()
            for running in self.processes.values():
                running.wait_until_well()
            yield self

    def broker_is_well(self) -> bool:
        """The broker's health check."""
        _, program, *words = self.compose["services"]["rabbitmq"]["healthcheck"]["test"]
        words = [str(self.rabbit.port) if word == "5672" else word for word in words]
        return self.rabbit.run(program, *words).returncode == 0

    def stop(self) -> dict[str, int]:
        """SIGTERM to each of ours, as `docker compose stop`; their exit codes."""
        for running in self.processes.values():
            running.process.terminate()
        codes = {}
        for name, running in self.processes.items():
            service = self.compose["services"][name.partition(" ")[0]]
            grace = float(service["stop_grace_period"].removesuffix("s"))
            codes[name] = running.process.wait(timeout=grace)
        return codes

    def _kill(self) -> None:
        for running in self.processes.values():
            if running.process.poll() is None:
                running.process.kill()
                running.process.wait(timeout=10)

    def _replicas(self, name: str) -> int:
        return int(self.compose["services"][name]["deploy"].get("replicas", 1))

    def _redis(self) -> ComposedRedis:
        service = self.compose["services"]["redis"]
        root = lay_out(self._roots / "redis", mounts(self.compose, "redis", folder=self.folder)[0])
        (root / "data").mkdir()
        own = self._roots / "redis.conf"
        own.write_text(below(root, (root / "etc/redis/redis.conf").read_text()))
        program, _ = service["command"]
        return ComposedRedis(
            self._roots / "redis-server",
            command=[program, str(own)],
            check=service["healthcheck"]["test"][1:],
        )

    def _rabbit(self) -> RabbitServer:
        files, _ = mounts(self.compose, "rabbitmq", folder=self.folder)
        root = lay_out(self._roots / "rabbitmq", files)
        self.ports |= {
            ("rabbitmq", port): free_ports("plugin")["plugin"] for port in (15672, 15692)
        }
        texts = {path.name: path.read_text() for path in (root / "etc/rabbitmq").iterdir()}
        text = below(root, texts["rabbitmq.conf"])
        for port in (15672, 15692):
            text = text.replace(f" = {port}\n", f" = {self.ports['rabbitmq', port]}\n")
        texts["rabbitmq.conf"] = (
            f"{text}management.tcp.ip = 127.0.0.1\nprometheus.tcp.ip = 127.0.0.1\n"
        )
        return RabbitServer(self._roots / "rabbitmq-server", configuration=texts)

    def _registry(self) -> ComposedRegistry:
        files, _ = mounts(self.compose, "registry", folder=self.folder)
        root = lay_out(self._roots / "registry", files)
        _, path = self.compose["services"]["registry"]["command"]
        text = below(root, (root / path.lstrip("/")).read_text())

        def configuration(port: int) -> str:
            self.ports["registry", 5000] = port
            return self._here(text).replace('":5000"', f"127.0.0.1:{port}")

        return ComposedRegistry(self._roots / "docker-registry", configuration=configuration)

    def _rewrite_files(self) -> None:
        """The secrets and rules that name hosts."""
        files, _ = mounts(self.compose, "webhook", folder=self.folder)
        rules = files["/etc/imagegate/rules"].glob("*.yaml")
        for path in (*rules, *(self.folder / "secrets").glob("*_url*")):
            path.write_text(self._here(path.read_text()))

    def _told(self, name: str, own: str) -> Told:
        return told_by(self.compose, name, folder=self.folder, root=self._roots / own)

    def _places(self, told: Told) -> dict[str, int]:
        """A free port for each that the process listens on, by the name of its setting."""
        ports = own_ports(told)
        places = free_ports(*ports)
        service = told.command[0]
        self.ports |= {(service, port): places[setting] for setting, port in ports.items()}
        return places

    def _start(self, own: str, told: Told, places: dict[str, int]) -> None:
        service = self.compose["services"][told.command[0]]
        environ = self._environ(told) | {key: str(port) for key, port in places.items()}
        program, *words, url = service["healthcheck"]["test"][1:]
        here = {port: places[setting] for setting, port in own_ports(told).items()}
        (probe,) = told.probes
        url = url.replace(f":{probe.port}/", f":{here[probe.port]}/")
        log = self._roots / f"{own}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [str(VENV / "imagegate"), *told.command],
                env=environ,
                cwd=told.root,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        check = [str(VENV / program), *words, url]
        self.processes[own] = Running(own, process, check, environ, log)

    def _environ(self, told: Told) -> dict[str, str]:
        # What nobody may write in the container is below a file here: even root cannot make it.
        (told.root / "read-only").touch()
        environ = {
            "PATH": f"{VENV}:{os.defpath}",
            "PYTHONSAFEPATH": "1",
            "IMAGEGATE_STATE": "/read-only/state",
            **told.environ,
        }
        for folder in told.writable:
            (told.root / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
        kinds = fields(SETTINGS[told.command[0]])
        return {
            name: below(told.root, value)
            if value.startswith("/") and name != "PATH"
            else self._here(value)
            if name in kinds
            else value
            for name, value in environ.items()
        }

    def _here(self, text: str) -> str:
        """`text` with each `service:port` as it is here, and every interface as loopback."""
        for (service, port), here in self.ports.items():
            text = re.sub(rf"(?<![\w.-]){service}:{port}\b", f"127.0.0.1:{here}", text)
        return text.replace("0.0.0.0", "127.0.0.1")


def own_ports(told: Told) -> dict[str, int]:
    """The ports that a process listens on, by the names of their settings."""
    settings = SETTINGS[told.command[0]]
    return {
        field.name.upper(): int(told.environ.get(field.name.upper(), field.default))
        for field in msgspec.structs.fields(settings)
        if field.type == Port
    }


def below(root: Path, text: str) -> str:
    """Each absolute path of `text` as one below `root`."""
    return re.sub(r"(?<![\w/.])/(?=\w)", f"{root}/", text)
