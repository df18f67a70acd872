"""The report as JSON: a shape that programs may rely on (docs/reports.md).

Keys are added and never taken away or given another meaning while `version` is the same.
"""

from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from typing import Any

import msgspec

from services.cli.reports.report import ImageReport, ScanReport, by_severity, by_type
from shared.domain.image_report import Coverage, DataGroup

VERSION = 1


def json_document(report: ScanReport) -> bytes:
    """Indented, with a line end."""
    told = {
        "version": VERSION,
        "tool": {"name": "imagegate", "version": installed_version("imagegate")},
        "at": _time(report.at),
        "image": report.image,
        "verdict": report.outcome,
        "message": report.message,
        "policies": report.policies,
        "images": [_image(image) for image in report.images],
    }
    return msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n"


def _image(image: ImageReport) -> dict[str, Any]:
    about = image.about
    return {
        "digest": image.digest,
        "architecture": about.architecture or None if about else None,
        "distro": about.distro or None if about else None,
        "distro_version": about.distro_version or None if about else None,
        "size": about.size or None if about else None,
        "layers": about.layers or None if about else None,
        "dockerfile": about.dockerfile or None if about else None,
        "packages_by_type": None if image.packages is None else by_type(image.packages),
        "packages": image.packages,
        "vulnerabilities_by_severity": (
            None if image.vulnerabilities is None else by_severity(image.vulnerabilities)
        ),
        "vulnerabilities": image.vulnerabilities,
        "vulnerability_data": _data(image.data, image.coverage),
        "findings": image.findings,
        "gaps": image.gaps,
    }


def _data(group: DataGroup | None, coverage: Coverage | None) -> dict[str, Any] | None:
    """What is known of the data that the image was matched with; None: nothing."""
    if group is None and coverage is None:
        return None
    as_of = coverage.as_of if coverage is not None else group.as_of if group else None
    return {
        "name": coverage.release if coverage is not None else group.name if group else "",
        "as_of": None if as_of is None else _time(as_of),
        "records": group.records if group else None,
        "unavailable": coverage.unavailable if coverage is not None else "",
        "uncovered": None if coverage is None else coverage.uncovered,
    }


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
