"""What to do after a report, in a line or two."""

from collections.abc import Iterator

from services.cli.reports.report import ImageReport, ScanReport
from shared.domain.verdict import Action, Outcome

NAMED = 5
_NO_DATA = "vulnerability_data_unavailable"


def advice_of(report: ScanReport) -> Iterator[str]:
    """Why it ended so, and what would change it; nothing after a plain pass."""
    if report.message:
        yield report.message
    if report.outcome is not Outcome.FAIL:
        return
    for image in report.images:
        yield from _upgrades(image)
    stops = [
        finding
        for image in report.images
        for finding in image.findings
        if finding.action is Action.STOP
    ]
    if any(finding.trigger == _NO_DATA for finding in stops):
        yield "`imagegate feeds sync`, or `import`, brings more vulnerability data"
    if stops:
        yield "what may be let through all the same goes into the policy's whitelist, by trigger id"


def _upgrades(image: ImageReport) -> Iterator[str]:
    """Packages whose fixed version ends findings that stop it."""
    stopping = {one.trigger_id for one in image.findings if one.action is Action.STOP}
    fixable = [
        one
        for one in image.vulnerabilities or ()
        if one.fixed and f"{one.id}+{one.package}" in stopping
    ]
    packages = list(dict.fromkeys(one.package for one in fixable))
    if packages:
        more = f" and {len(packages) - NAMED} more" if len(packages) > NAMED else ""
        yield (
            f"newer {', '.join(packages[:NAMED])}{more} would end {len(fixable)} of the "
            f"{len(stopping)} findings that stop it"
        )
