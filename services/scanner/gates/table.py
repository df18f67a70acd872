"""All gates and triggers, with Engine's names, parameters and messages.

What is not in `TRIGGERS` the scanner does not know; a bundle with it is refused. Sources:
docs/design/anchore-engine.md 5 and 7; where ours differ on purpose, docs/design/scanner.md.
"""

from collections.abc import Iterator, Mapping

from services.scanner.gates.dockerfile import DOCKERFILE
from services.scanner.gates.metadata import METADATA
from services.scanner.gates.packages import PACKAGES
from services.scanner.gates.params import Values
from services.scanner.gates.trigger import Hit, Sight, Trigger
from services.scanner.gates.vulnerabilities import VULNERABILITIES


def _always(sight: Sight, values: Values) -> Iterator[Hit]:
    """Fires for every image."""
    yield Hit("Unconditional trigger match")


TRIGGERS: Mapping[str, Mapping[str, Trigger]] = {
    "always": {"always": Trigger(_always)},
    "dockerfile": DOCKERFILE,
    "metadata": METADATA,
    "packages": PACKAGES,
    "vulnerabilities": VULNERABILITIES,
}
"""Gate -> trigger -> what it takes and does."""

ENDED: Mapping[str, str] = {
    "anchoresec": "vulnerabilities",
    "dockerfilecheck": "dockerfile",
    "filecheck": "files",
    "fileparse_passwd": "passwd_file",
    "gemcheck": "gems",
    "imagecheck": "",
    "licblacklist": "licenses",
    "metadatacheck": "metadata",
    "npmcheck": "npms",
    "pkgblacklist": "packages",
    "pkgcheck": "packages",
    "pkgdiff": "",
    "secretcheck": "secret_scans",
    "suiddiff": "",
}
"""Gates that Engine gave up (its `eol`), and what took their place; empty: nothing did."""

_NO_FILES = "the scanner keeps packages and configuration of an image, none of its files"

NOT_HERE: Mapping[tuple[str, str], str] = {
    ("packages", "verify"): _NO_FILES,
    ("files", ""): _NO_FILES,
    ("licenses", ""): "there are no rules about licences here",
    ("malware", ""): "nothing looks for malware here",
    (
        "npms",
        "",
    ): "there is no list of all npm packages here; packages/blacklist knows them by name",
    ("passwd_file", ""): _NO_FILES,
    ("retrieved_files", ""): _NO_FILES,
    ("ruby_gems", ""): "there is no list of all gems here; packages/blacklist knows them by name",
    ("secret_scans", ""): _NO_FILES,
}
"""What Engine has and the scanner has not: (gate, trigger; empty: the whole gate) -> why."""
