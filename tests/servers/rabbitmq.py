"""A RabbitMQ of the tests' own: loopback, free ports, everything in one temporary folder.

It has an epmd of its own too, because the node would else start one that outlives the tests.
Works as root and as anybody else: Debian's wrapper around the scripts is not used.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from tests.servers.ports import free_ports
from tests.servers.process import stop

SCRIPTS = Path("/usr/lib/rabbitmq/bin")
START_TIMEOUT = 60.0
TRIES = 3


CONFIGURATION = {
    "rabbitmq.conf": (
        "disk_free_limit.absolute = 1MB\nlog.console = false\nloopback_users.guest = true\n"
    ),
    # As our own brokers have it: what finds its lane full is tried again after ten seconds.
    "advanced.config": "[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 10000}]}].\n",
    "enabled_plugins": "[].\n",
}
"""The files of a node that a test wants for its queues alone."""


ALARM = """
ok = vm_memory_monitor:set_vm_memory_high_watermark(0.0001),
Wait = fun Again() -> case rabbit_alarm:get_alarms() of
    [] -> timer:sleep(10), Again();
    [_ | _] -> told
end end,
told = Wait().
"""
"""As `rabbitmqctl set_vm_memory_high_watermark` does it, which is over before any connection is
told."""


class RabbitServer:
    """One node. `start()`, then `url`; `stop()` leaves no process and no file behind.

    `configuration`: the files of a node by name, rabbitmq.conf, advanced.config and
    enabled_plugins. Port 5672 in them becomes the node's own, on the loopback address.
    """

    def __init__(self, folder: Path, *, configuration: Mapping[str, str] = CONFIGURATION) -> None:
        self.folder = folder
        self._configuration = configuration
        self._ports: dict[str, int] = {}
        self._node: subprocess.Popen[bytes] | None = None
        self._epmd: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    @property
    def port(self) -> int:
        """Of AMQP."""
        return self._ports["amqp"]

    def start(self) -> Self:
        """Start on free ports; again on others if somebody was quicker."""
        for attempt in range(TRIES):
            self._ports = free_ports("amqp", "dist", "epmd", "ctl")
            try:
                self._start_epmd()
                self.start_node()
            except RuntimeError:
                self.stop()
                if attempt == TRIES - 1:
                    raise
            else:
                return self
        raise AssertionError("unreachable")

    def start_node(self) -> None:
        """Start the node on the ports and the data it had before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in self._configuration.items():
            own = text.replace(" = 5672\n", f" = 127.0.0.1:{self.port}\n")
            (self.folder / name).write_text(own)
        with (self.folder / "node.out").open("ab") as out:
            self._node = subprocess.Popen(
                [_script("rabbitmq-server")],
                env=self._environment(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._wait_until_it_answers()

    def kill(self) -> None:
        """kill -9 of the node; its data stays."""
        node, self._node = self._node, None
        if node is not None and node.poll() is None:
            node.kill()
            node.wait(timeout=30)

    def restart(self) -> None:
        """kill -9, and a start on the same ports and data."""
        self.kill()
        self.start_node()

    def forget(self) -> None:
        """Throw the data of a killed node away."""
        shutil.rmtree(self.folder / "mnesia")

    def mend(self) -> None:
        """Running, whatever a test did to it."""
        if self._node is None:
            self.start_node()
        else:
            self.resume()

    def pause(self) -> None:
        """The node hangs: connections stay, nothing is answered."""
        stop(self._running())

    def resume(self) -> None:
        self._running().send_signal(signal.SIGCONT)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        self.pause()
        try:
            yield
        finally:
            self.resume()

    @contextlib.contextmanager
    def memory_alarm(self) -> Iterator[None]:
        """The node blocks every connection that publishes."""
        self.ctl("eval", ALARM)
        try:
            yield
        finally:
            self.ctl("set_vm_memory_high_watermark", "0.4")

    def ctl(self, *arguments: str) -> str:
        """What `rabbitmqctl` prints."""
        ran = self.run("rabbitmqctl", "-q", *arguments)
        if ran.returncode:
            raise RuntimeError(f"rabbitmqctl {arguments} failed: {ran.stdout!r} {ran.stderr!r}")
        return ran.stdout.decode()

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        """Run one of RabbitMQ's own programs for this node."""
        return subprocess.run(
            [_script(program), *arguments],
            env=self._environment(),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            check=False,
        )

    def stop(self) -> None:
        """kill -9 of node and epmd, and the folder with them: nothing in it is wanted again."""
        self.kill()
        epmd, self._epmd = self._epmd, None
        if epmd is not None:
            epmd.terminate()
            epmd.wait(timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start_epmd(self) -> None:
        self._epmd = subprocess.Popen(
            ["epmd", "-port", str(self._ports["epmd"]), "-address", "127.0.0.1"],
            env={"PATH": _path()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_TIMEOUT
        while not _listens(self._ports["epmd"]):
            if self._epmd.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"epmd did not start on port {self._ports['epmd']}")
            time.sleep(0.02)

    def _wait_until_it_answers(self) -> None:
        """The port opens last, when the node has started (about 6 s)."""
        assert self._node is not None
        deadline = time.monotonic() + START_TIMEOUT
        while not _listens(self._ports["amqp"]):
            if self._node.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "node.out").read_text(errors="replace")[-2_000:]
                self.kill()
                raise RuntimeError(f"rabbitmq-server did not start: {said}")
            time.sleep(0.05)

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._node is not None, "the node is not running"
        return self._node

    def _environment(self) -> dict[str, str]:
        folder, ports = str(self.folder), self._ports
        interface = "-kernel inet_dist_use_interface {127,0,0,1}"
        return {
            "PATH": _path(),
            "LANG": "C.UTF-8",
            "HOME": folder,  # the cookie
            "ERL_EPMD_PORT": str(ports["epmd"]),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": f"{folder}/advanced.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_NODENAME": f"imagegate{ports['amqp']}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(ports["amqp"]),
            "RABBITMQ_DIST_PORT": str(ports["dist"]),
            "RABBITMQ_CTL_DIST_PORT_MIN": str(ports["ctl"]),
            "RABBITMQ_CTL_DIST_PORT_MAX": str(ports["ctl"]),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{interface} -start_epmd false +S 2:2 +A 16",
            "RABBITMQ_CTL_ERL_ARGS": f"{interface} -start_epmd false",
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_PID_FILE": f"{folder}/node.pid",
            # The script then becomes the node, whose process id is ours to kill.
            "RUNNING_UNDER_SYSTEMD": "true",
        }


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _path() -> str:
    return f"{os.defpath}:/usr/local/bin:/usr/sbin:/usr/local/sbin"


def _script(name: str) -> str:
    own = SCRIPTS / name
    found = str(own) if own.exists() else shutil.which(name, path=_path())
    if found is None:
        raise RuntimeError(f"{name} is not installed: apt-get install rabbitmq-server")
    return found
