"""`imagegate scan --local`, from its options to its exit code."""

from pathlib import Path

import msgspec
from rich.console import Console

from services.cli.command import Exit
from services.cli.policies.documents import read_document
from services.cli.reports.local import Wanted, shown_path
from services.cli.reports.output import Delivery, deliver
from services.cli.reports.progress import progress
from services.cli.reports.settings import LocalSettings
from services.cli.reports.wiring import default_bundle, local_scan
from services.scanner.settings import ScannerSettings
from shared.domain.verdict import Outcome
from shared.runtime.clock import SystemClock
from shared.runtime.settings import read_settings

_CODES = {Outcome.PASS: Exit.GOOD, Outcome.FAIL: Exit.BAD, Outcome.ERROR: Exit.ERROR}


class LocalOptions(msgspec.Struct, frozen=True):
    """What only a scan in this process can be told."""

    platform: str = ""
    policy_file: Path | None = None
    insecure: bool = False

    @property
    def given(self) -> str:
        """The first that is given, as it is typed; empty: none."""
        named = {
            "--platform": bool(self.platform),
            "--policy-file": self.policy_file is not None,
            "--insecure": self.insecure,
        }
        return next((name for name, given in named.items() if given), "")


def exit_code(outcome: Outcome) -> Exit:
    """What a CI goes by."""
    return _CODES[outcome]


async def scan_locally(
    image: str,
    options: LocalOptions,
    *,
    dockerfile: bytes | None,
    dockerfile_path: Path | None,
    force: bool,
    timeout: float,
    delivery: Delivery,
) -> Exit:
    """Scan, report, exit code. Raises ImagegateError."""
    clock = SystemClock()
    began = clock.monotonic()
    wanted = Wanted(
        image=image,
        bundle=read_document(options.policy_file) if options.policy_file else default_bundle(),
        platform=options.platform,
        dockerfile=dockerfile,
        dockerfile_path=shown_path(dockerfile_path),
        force=force,
        timeout=timeout,
    )
    with progress(Console(stderr=True)) as tell:
        async with local_scan(
            read_settings(LocalSettings),
            read_settings(ScannerSettings),
            image=image,
            insecure=options.insecure,
            timeout=timeout,
            tell=tell,
        ) as here:
            report = await here.scan(wanted, tell)
    deliver(report, delivery, seconds=clock.monotonic() - began)
    return exit_code(report.outcome)
