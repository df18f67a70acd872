"""Where a person reads about a vulnerability: the distributor's own page, else OSV's."""

from collections.abc import Mapping

from services.scanner.feeds.ecosystems import Group

_OF_CVES: Mapping[str, str] = {
    "Debian": "https://security-tracker.debian.org/tracker/{}",
    "Ubuntu": "https://ubuntu.com/security/{}",
    "Alpine": "https://security.alpinelinux.org/vuln/{}",
    "Red Hat": "https://access.redhat.com/security/cve/{}",
    "SUSE": "https://www.suse.com/security/cve/{}/",
    "openSUSE": "https://www.suse.com/security/cve/{}/",
}


def link_to(group: Group, id_: str) -> str:
    """A page about `id_`, a CVE or an advisory."""
    page = _OF_CVES.get(group.ecosystem.name) if id_.startswith("CVE-") else None
    return (page or "https://osv.dev/vulnerability/{}").replace("{}", id_)
