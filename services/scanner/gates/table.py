"""All gates and triggers, with Engine's names, parameters and messages.

What is not in `TRIGGERS` the scanner does not know; a bundle with it is refused. Sources:
docs/design/anchore-engine.md 5 and 7; where ours differ on purpose, docs/design/scanner.md.
"""

from collections.abc import Iterator, Mapping

from services.scanner.gates.dockerfile import DOCKERFILE
from services.scanner.gates.trigger import Hit, Param, Params, Sight, Trigger
from services.scanner.gates.vulnerabilities import VULNERABILITIES
from services.scanner.records import os_packages


def _blacklisted_package(sight: Sight, params: Params) -> Iterator[Hit]:
    name, version = params["name"], params.get("version")
    for package in os_packages(sight.facts):
        if package.name == name and version in (None, package.version):
            yield Hit("Package is blacklisted: " + "-".join(filter(None, (name, version))))
            return


def _always(sight: Sight, params: Params) -> Iterator[Hit]:
    yield Hit("Unconditional trigger match")


TRIGGERS: Mapping[str, Mapping[str, Trigger]] = {
    "always": {"always": Trigger(_always)},
    "dockerfile": DOCKERFILE,
    "packages": {
        "blacklist": Trigger(
            _blacklisted_package, {"name": Param(required=True), "version": Param()}
        ),
    },
    "vulnerabilities": VULNERABILITIES,
}
"""Gate -> trigger -> what it takes and does."""
