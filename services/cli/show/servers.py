"""How Redis, RabbitMQ and our own processes are started for the show, on loopback only.

RabbitMQ gets an epmd of its own, because a node would else start one that outlives it, and is
started without Debian's wrapper, which wants to be root or rabbitmq
(docs/design/broker-facts.md 3).
"""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from services.cli.show.children import Program, Ready, listens
from shared.domain.errors import InvalidSettings

SEARCH = f"{os.defpath}:/usr/local/bin:/usr/sbin:/usr/local/sbin"
RABBIT_SCRIPTS = "/usr/lib/rabbitmq/bin"
WANTED = {"redis-server": "redis-server", "rabbitmq-server": "rabbitmq-server", "epmd": "erlang"}
"""Program -> Debian's package."""

ADVANCED = "[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 10000}]}].\n"
"""As in compose: what finds its lane full is tried again after ten seconds, not three minutes."""


def find_servers(search: str = f"{RABBIT_SCRIPTS}:{SEARCH}") -> dict[str, str]:
    """Where in `search` the programs are; raises InvalidSettings that says what to install.

    RabbitMQ's own scripts stand first: what Debian has in /usr/sbin is its wrapper.
    """
    found = {name: shutil.which(name, path=search) for name in WANTED}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        packages = " ".join(dict.fromkeys(WANTED[name] for name in missing))
        raise InvalidSettings(
            f"{', '.join(missing)} missing: install them (Debian: apt-get install "
            f"--no-install-recommends {packages}), or run `imagegate up`, which needs none"
        )
    return {name: path for name, path in found.items() if path is not None}


def redis(path: str, folder: Path, *, port: int) -> Program:
    """A Redis that keeps nothing on disk."""
    options = {"port": str(port), "bind": "127.0.0.1", "dir": str(folder), "save": ""}
    flags = [word for name, value in options.items() for word in (f"--{name}", value)]
    return Program(
        name="redis-server",
        command=(path, *flags, "--appendonly", "no"),
        environ={"PATH": SEARCH, "LANG": "C.UTF-8"},
        folder=folder,
        ready=lambda: listens(port),
    )


def epmd(path: str, folder: Path, *, port: int) -> Program:
    """The port mapper of the RabbitMQ node."""
    return Program(
        name="epmd",
        command=(path, "-port", str(port), "-address", "127.0.0.1"),
        environ={"PATH": SEARCH},
        folder=folder,
        ready=lambda: listens(port),
    )


def rabbitmq(path: str, folder: Path, *, ports: Mapping[str, int]) -> Program:
    """One node; `ports` has amqp, dist and epmd. Its port opens when it is ready."""
    (folder / "rabbitmq.conf").write_text("disk_free_limit.absolute = 50MB\nlog.console = false\n")
    (folder / "advanced.config").write_text(ADVANCED)
    (folder / "enabled_plugins").write_text("[].\n")
    erlang = "-kernel inet_dist_use_interface {127,0,0,1} -start_epmd false +S 2:2"
    environ = {
        "PATH": SEARCH,
        "LANG": "C.UTF-8",
        "HOME": str(folder),
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
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": erlang,
        "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
        "RABBITMQ_LOG_BASE": f"{folder}/log",
        "RABBITMQ_PID_FILE": f"{folder}/node.pid",
        # The script then becomes the node, whose process id is ours to stop.
        "RUNNING_UNDER_SYSTEMD": "true",
    }
    return Program(
        name="rabbitmq-server",
        command=(path,),
        environ=environ,
        folder=folder,
        ready=lambda: listens(ports["amqp"]),
    )


def own(
    name: str, *arguments: str, environ: Mapping[str, str], folder: Path, ready: Ready
) -> Program:
    """A process of ours: `python -m ARGUMENTS`, whatever folder it is started in."""
    return Program(
        name=name,
        command=(sys.executable, "-P", "-m", *arguments),
        environ=dict(environ),
        folder=folder,
        ready=ready,
    )


def answers(session: aiohttp.ClientSession, url: str) -> Ready:
    """Whether `url` answers 200."""

    async def ready() -> bool:
        try:
            async with session.get(url, timeout=aiohttp.ClientTimeout(total=5)) as response:
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    return ready
