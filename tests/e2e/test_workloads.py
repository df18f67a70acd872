"""What becomes of the objects that make pods, and of their pods."""

import pytest

from tests.e2e.site import Site, until
from tests.e2e.workloads import KINDS, begin, create, events, pods


@pytest.mark.parametrize("kind", KINDS)
def test_a_workload_whose_image_is_pending_is_taken_with_a_warning_and_its_pods_come_by_themselves(
    kind: str, site: Site, team: str
) -> None:
    image = site.held_image(f"team/{kind.lower()}:1")

    made = create(site, team, kind, image)
    begin(site, team, kind)

    assert made.code == 0, made
    assert (
        f"Warning: image {image}: not judged yet: pods with it are denied, and made again by "
        "themselves, until its scan has passed\n"
    ) in made.err
    refused = f"image {site.pinned(image)}: not judged yet, its scan is under way"
    assert until(lambda: refused in events(site, team)), events(site, team)
    assert pods(site, team) == []

    site.late.release(image)

    assert until(lambda: len(pods(site, team)) == 1), events(site, team)
    (pod,) = pods(site, team)
    assert pod["spec"]["containers"][0]["image"] == site.pinned(image)


@pytest.mark.parametrize("kind", KINDS)
def test_a_workload_whose_image_failed_is_refused_itself(kind: str, site: Site, team: str) -> None:
    made = create(site, team, kind, site.bad)

    assert made.code == 1, made
    assert 'admission webhook "workloads.imagegate.dev" denied the request: image' in made.err
    assert "refused by policy imagegate-default: Package is blacklisted" in made.err, made
    got = site.cluster.kubectl("get", kind, "w", f"--namespace={team}")
    assert "NotFound" in got.err, got


def test_a_rollout_to_a_bad_image_is_refused_and_the_old_pods_stay(site: Site, team: str) -> None:
    assert (made := create(site, team, "Deployment", site.good)).code == 0, made
    assert until(lambda: len(pods(site, team)) == 1), events(site, team)
    (before,) = pods(site, team)

    command = ("set", "image", "deployment/w", f"main={site.bad}", f"--namespace={team}")
    ran = site.kubectl(*command)

    assert ran.code == 1, ran
    said = ran.err.replace(site.pinned(site.bad), site.bad)
    assert f"image {site.bad}: refused by policy" in said, ran
    (after,) = pods(site, team)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
