"""Where imagegate judges, and by what."""

import pytest

from tests.e2e.site import SHELLS, Site
from tests.functional.scanner.images import OPENSSH


def test_two_namespaces_judge_one_image_by_two_policies(site: Site, team: str) -> None:
    image = site.judged(site.image("team/with-a-shell:1", OPENSSH))
    other = site.namespace(f"{SHELLS}{team[:50]}")

    refused, taken = (site.run(image, namespace) for namespace in (team, other))

    assert refused.code == 1, refused
    assert "refused by policy imagegate-default: Package is blacklisted" in refused.err, refused
    assert taken.code == 0, taken


@pytest.mark.parametrize("exempt", ["kube-system", "imagegate"])
def test_in_an_exempt_namespace_nothing_is_judged(exempt: str, site: Site) -> None:
    if site.cluster.kubectl("get", "namespace", exempt).code:
        site.namespace(exempt)

    ran = site.run(site.bad, exempt, name="bad")

    assert ran.code == 0, ran
    pod = site.cluster.get("pod", "bad", namespace=exempt)
    assert pod["spec"]["containers"][0]["image"] == site.bad
    site.cluster.kubectl("delete", "pod", "bad", f"--namespace={exempt}")
