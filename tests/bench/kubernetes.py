"""On a real API server: how soon a blocked workload has its pod once its image has passed.

verdict_to_pod_ms_with_nudge            from the announcement of an image's verdict to the pod, as a
                                        watch shows it: the worst of several Deployments whose
                                        verdicts come 20 to 40 s after their first denial
verdict_to_pod_ms_with_nudge_median     the median of them
verdict_to_pod_ms_without_nudge         the worst of the same with IMAGEGATE_NUDGE=false: what is
                                        left of the controller's back-off
verdict_to_pod_ms_without_nudge_median  the median of them
"""

import contextlib
import http.client
import itertools
import json
import ssl
import statistics
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

from tests.bench.figures import figure, remark
from tests.e2e.nudged_site import NudgedSite, workload
from tests.e2e.site import until

WORKLOADS = 8
EARLIEST, LATEST = 20.0, 40.0
"""Seconds from the first denial to when the scans may end."""
PATIENCE = 180.0
NAMESPACE = "measured"


def main() -> None:
    """Print the figures."""
    remark(
        f"etcd, kube-apiserver, controllers, Redis, RabbitMQ, two webhooks, a worker and the "
        f"built-in scanner as processes; {WORKLOADS} Deployments at once"
    )
    for nudge, name, goal in ((True, "with", "<= 1500"), (False, "without", "")):
        taken = _measured(nudge=nudge)
        figure(f"verdict_to_pod_ms_{name}_nudge", max(taken) * 1_000, "ms", goal=goal)
        median = statistics.median(taken) * 1_000
        figure(f"verdict_to_pod_ms_{name}_nudge_median", median, "ms")


def _measured(*, nudge: bool) -> list[float]:
    """Seconds, of each workload."""
    with (
        tempfile.TemporaryDirectory() as folder,
        NudgedSite(Path(folder) / "files", nudge=nudge).running() as site,
    ):
        return _rolled_out(site)


def _rolled_out(site: NudgedSite) -> list[float]:
    team = site.namespace(NAMESPACE)
    names = [f"web-{number}" for number in range(WORKLOADS)]
    with _verdicts(site) as judged, _pods(site, team) as made:
        images = {name: site.held_image(f"team/{name}:1") for name in names}
        began = time.monotonic()
        for name, image in images.items():
            applied = site.cluster.apply(workload("Deployment", name, image), namespace=team)
            assert applied.code == 0, applied
        step = (LATEST - EARLIEST) / (WORKLOADS - 1)
        for name, after in zip(names, itertools.count(EARLIEST, step), strict=False):
            time.sleep(max(0.0, began + after - time.monotonic()))
            site.late.release(images[name])
        everything = set(names)
        assert until(lambda: judged.keys() == made.keys() == everything, within=PATIENCE), (
            judged,
            made,
        )
    return [made[name] - judged[name] for name in names]


@contextmanager
def _verdicts(site: NudgedSite) -> Iterator[dict[str, float]]:
    """When the verdict of each image was announced, by its repository's last part."""
    heard: dict[str, float] = {}

    def hear(message: dict[str, bytes]) -> None:
        kind, _, about = message["data"].decode().partition(":")
        if kind == "verdict":
            heard.setdefault(about.partition("@")[0].rpartition("/")[2], time.monotonic())

    with redis.Redis.from_url(site.redis.url) as client, client.pubsub() as listening:
        listening.subscribe(**{"ig1:changed": hear})
        thread = listening.run_in_thread(sleep_time=0.01)
        try:
            yield heard
        finally:
            thread.stop()
            thread.join()


@contextmanager
def _pods(site: NudgedSite, team: str) -> Iterator[dict[str, float]]:
    """When the first pod of each workload was made, by the workload's name."""
    made: dict[str, float] = {}
    request = urllib.request.Request(
        f"{site.cluster.url}/api/v1/namespaces/{team}/pods?watch=true",
        headers={"Authorization": f"Bearer {site.cluster.token}"},
    )
    trusted = ssl.create_default_context(cafile=site.cluster.ca_file)
    began = threading.Event()

    def watch() -> None:
        # Until the API server is stopped.
        with (
            contextlib.suppress(OSError, http.client.HTTPException),
            urllib.request.urlopen(request, timeout=PATIENCE * 2, context=trusted) as lines,
        ):
            began.set()
            for line in lines:
                name = json.loads(line)["object"]["metadata"]["labels"]["app"]
                made.setdefault(name, time.monotonic())

    threading.Thread(target=watch, name="watch pods", daemon=True).start()
    assert began.wait(30)
    yield made
