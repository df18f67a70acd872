"""What becomes of a pod that somebody creates, as kubectl shows it."""

import json

import pytest

from tests.e2e.site import Site, persist, until
from tests.functional.scanner.images import OPENSSH
from tests.servers.kubernetes import Ran
from tests.servers.kubernetes_processes import ADMIN, PIPELINE

CI = f"--as={PIPELINE}"
"""As an account that is told at once, where a person's kubectl is told to try again."""


def test_a_good_pod_passes_and_its_stored_spec_is_pinned(site: Site, team: str) -> None:
    image = site.judged(site.image("team/good:1"))

    ran = site.run(image, team)

    assert ran.code == 0, ran
    assert site.images_of(team) == [site.pinned(image)]


def test_a_bad_pod_is_refused_and_the_person_reads_why(site: Site, team: str) -> None:
    image = site.judged(site.bad_image("team/bad:1"))

    ran = site.run(image, team)

    assert ran.code == 1, ran
    assert ran.err == (
        'Error from server (Forbidden): admission webhook "create.imagegate.dev" denied the '
        f"request: image {site.pinned(image)}: refused by policy imagegate-default: "
        "Package is blacklisted: openssh-server. See: imagegate explain IMAGE\n"
    )


def test_an_unknown_image_is_refused_and_passes_moments_later(site: Site, team: str) -> None:
    image = site.held_image("team/unknown:1")
    create = ("run", "p", f"--image={image}", f"--namespace={team}", CI)

    refused = site.kubectl(*create, user=ADMIN)
    site.late.release(image)

    assert refused.code == 1, refused
    assert refused.err.startswith("Error from server (TooManyRequests): "), refused
    assert f"image {site.pinned(image)}: not judged yet, its scan is" in refused.err
    passed = persist(lambda: site.kubectl(*create, user=ADMIN))
    assert passed.code == 0, passed


def test_a_server_side_dry_run_passes_with_a_warning_and_leaves_no_trace(
    site: Site, team: str
) -> None:
    image = site.held_image("team/dry:1")

    ran = site.run(image, team, "--dry-run=server")

    assert ran.code == 0, ran
    assert f"Warning: not judged yet: image {image}" in ran.err, ran
    # What was asked for would have come to a worker before this one.
    site.judged(site.image("team/after-dry:1"))
    assert not site.denied(image)
    keys = site.redis.command("KEYS", "*")
    assert [key for key in keys if "team/dry" in key] == []
    # Nothing reached a worker either, which would have asked the registry.
    assert site.late.asked("team/dry") == []


@pytest.mark.parametrize(
    ("where", "field"),
    [
        ("an init container", "initContainers"),
        ("a sidecar", "initContainers"),
        ("a volume", "volumes"),
        ("the second container", "containers"),
    ],
)
def test_a_bad_image_is_refused_wherever_it_stands_in_a_pod(
    where: str, field: str, site: Site, team: str
) -> None:
    good, bad = site.good, site.bad
    spec: dict[str, list[object]] = {"containers": [{"name": "app", "image": good}]}
    place: object = {"name": "extra", "image": bad}
    if where == "a sidecar":
        place = {"name": "extra", "image": bad, "restartPolicy": "Always"}
    if where == "a volume":
        place = {"name": "extra", "image": {"reference": bad}}
    spec.setdefault(field, []).append(place)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}

    ran = site.kubectl("create", "-f-", f"-n{team}", stdin=json.dumps(pod))

    assert ran.code == 1, ran
    assert f"image {site.pinned(bad)}: refused by policy" in ran.err, ran


def test_an_ephemeral_container_is_refused_if_its_image_is_bad_and_pinned_if_it_is_good(
    site: Site, team: str
) -> None:
    good, bad = site.good, site.bad
    assert (made := site.run(good, team)).code == 0, made
    debug = ("debug", "p", f"--namespace={team}", "--container=look")

    refused = site.kubectl(*debug, f"--image={bad}")
    taken = site.kubectl(*debug, f"--image={good}")

    assert refused.code == 1, refused
    assert f"image {site.pinned(bad)}: refused by policy" in refused.err, refused
    assert taken.code == 0, taken
    spec = site.cluster.get("pod", "p", namespace=team)["spec"]
    (look,) = spec["ephemeralContainers"]
    assert look["image"] == site.pinned(good)


def test_a_tag_that_moved_after_it_was_judged_good_lets_nothing_else_in(
    site: Site, team: str
) -> None:
    image = site.judged(site.image("team/moving:1"))
    before = site.pinned(image)
    site.image("team/moving:1", OPENSSH)
    after = site.pinned(image)
    runs: list[Ran] = []

    def refused() -> bool:
        always = "--image-pull-policy=Always"
        runs.append(site.run(image, team, always, name=f"p{len(runs)}"))
        return runs[-1].code != 0

    assert until(refused), runs[-1]
    assert f"image {after}: refused by policy" in runs[-1].err, runs[-1]
    pods = site.cluster.get("pods", namespace=team)["items"]
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} <= {before}
