"""The plan of `imagegate show-real`: folder, ports and what every process is told."""

from pathlib import Path
from secrets import token_urlsafe

import msgspec

from services.cli.local.wiring import make_keys
from services.cli.settings import CliSettings
from services.cli.show.children import free_ports
from services.cli.show.images import show_images, write_layouts
from services.scanner.settings import ScannerSettings
from shared.domain.signing import Role
from shared.runtime.settings import Secret, read_settings
from shared.runtime.tls import CertificateFiles, ensure_certificate

REPLICAS = (1, 2)
SINGLE = ("intake", "console")
"""Services of which one process runs."""

NAMES = ("redis", "amqp", "dist", "epmd", "registry", "scanner", *SINGLE)


class Plan(msgspec.Struct, frozen=True):
    """Folder and ports of everything, and what every process of ours is told."""

    folder: Path
    ports: dict[str, int]
    certificate: CertificateFiles
    digests: dict[str, str]
    """What the registry has, by `path:tag`."""
    environ: dict[str, str]

    @property
    def registry(self) -> str:
        """`host:port`, as in a reference."""
        return f"127.0.0.1:{self.ports['registry']}"

    def url(self, name: str, *, scheme: str = "http") -> str:
        """Where the process of a port answers."""
        return f"{scheme}://127.0.0.1:{self.ports[name]}"

    @property
    def settings(self) -> CliSettings:
        """For commands that ask these servers."""
        return CliSettings(
            redis_url=Secret(self.environ["REDIS_URL"]),
            amqp_url=Secret(self.environ["AMQP_URL"]),
            anchore_url=self.environ["ANCHORE_URL"],
            imagegate_rules=Path(self.environ["IMAGEGATE_RULES"]),
            imagegate_state=Path(self.environ["IMAGEGATE_STATE"]),
        )


def plan_in(folder: Path) -> Plan:
    """Choose the ports, and write what the processes read into `folder`."""
    names = [*NAMES]
    for number in REPLICAS:
        names += [f"webhook {number}", f"webhook {number} health", f"worker {number} health"]
    names += [f"{what} health" for what in SINGLE]
    ports = dict(free_ports(names))
    state = folder / "state"
    make_keys(state / "keys", role=Role.WORKER)
    digests = write_layouts(folder / "layouts", show_images())
    rules = folder / "rules.yaml"
    rules.write_text(
        "apiVersion: imagegate.dev/v1\n"
        f'registries:\n  - {{host: "127.0.0.1:{ports["registry"]}", insecure: true}}\n'
    )
    environ = {
        "PATH": read_settings(ScannerSettings).path,
        "REDIS_URL": f"redis://127.0.0.1:{ports['redis']}/0",
        "AMQP_URL": f"amqp://guest:guest@127.0.0.1:{ports['amqp']}/",
        "ANCHORE_URL": f"http://127.0.0.1:{ports['scanner']}",
        "IMAGEGATE_STATE": str(state),
        "IMAGEGATE_RULES": str(rules),
        "IMAGEGATE_SCANNER_PORT": str(ports["scanner"]),
        "IMAGEGATE_INTAKE_PORT": str(ports["intake"]),
        "IMAGEGATE_EVENTS_TOKEN": token_urlsafe(),
        "IMAGEGATE_CONSOLE_PORT": str(ports["console"]),
    }
    return Plan(folder, ports, ensure_certificate(state), digests, environ)
