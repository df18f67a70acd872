"""Types of packages: Syft's words, which are kept, and Engine's, which are shown."""

from collections.abc import Iterable

from services.scanner.records import OS_PACKAGES, ImageFacts, Package

OS = "os"
NON_OS = "non-os"
ALL = "all"

_OS_TYPES = {"deb": "dpkg", "rpm": "rpm", "apk": "APKG"}
_LANGUAGES = {
    "java-archive": "java",
    "jenkins-plugin": "java",
    "go-module": "go",
}
_SHOWN = {"java": "JAVA-JAR"}


def content_type(package: Package) -> str:
    """Under which type of content a package is listed: `os`, `python`, `java`; in Syft's own
    word where Engine has none."""
    return OS if package.type in OS_PACKAGES else _LANGUAGES.get(package.type, package.type)


def content_types(facts: ImageFacts) -> list[str]:
    """`os`, and what else the image has."""
    return [OS, *sorted({content_type(one) for one in facts.packages} - {OS})]


def content_label(package: Package) -> str:
    """The `type` of a package in a listing of content."""
    listed = content_type(package)
    return package_type(package) if listed == OS else _SHOWN.get(listed, listed.upper())


def package_type(package: Package) -> str:
    """The `package_type` of a vulnerability."""
    return _OS_TYPES.get(package.type, content_type(package))


def of_kind(packages: Iterable[Package], kind: str) -> list[Package]:
    """The packages that `os`, `non-os` or `all` asks about."""
    return [one for one in packages if kind == ALL or (one.type in OS_PACKAGES) == (kind == OS)]
