"""The webhook's certificate, and who signed it, are replaced while pods are created."""

import http.client
import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.e2e.site import Site, until
from tests.fakes.certificates import server_certificate

SETTLE = 5.0
"""Seconds in which the API server has surely heard of a changed configuration. It tells nobody."""


def test_certificate_and_ca_are_replaced_under_load_and_no_call_fails(
    site: Site, team: str, tmp_path: Path
) -> None:
    assert (made := site.run(site.good, team)).code == 0, made
    old = site.ca_file
    new, files = server_certificate(tmp_path)

    with _pods_are_created(site, team, clients=2) as answers:
        assert until(lambda: answers.total() >= 20), answers
        site.ask_webhook(old, new)
        time.sleep(SETTLE)
        site.certificate.certificate.write_bytes(files.certificate.read_bytes())
        site.certificate.key.write_bytes(files.key.read_bytes())
        assert until(lambda: _shown(site) == files.certificate.read_text()), site.webhook.said()
        # The API server keeps its connections: only for more calls at a time it makes new ones,
        # which are shown the new certificate.
        with _pods_are_created(site, team, clients=8) as more:
            assert until(lambda: more.total() >= 100), more
            site.ask_webhook(new)
            site.ca_file = new
            time.sleep(SETTLE)
            before = more.total()
            assert until(lambda: more.total() >= before + 100), more

    assert set(answers) == {"201"}, answers
    assert set(more) == {"201"}, more


def _shown(site: Site) -> str:
    return ssl.get_server_certificate(("127.0.0.1", site.reviews))


@contextmanager
def _pods_are_created(site: Site, team: str, *, clients: int) -> Iterator[Counter[str]]:
    """By so many at a time, one after the other, as dry runs: what the API server answered.

    A dry run asks both webhooks as any creation does. Pods that the mutating one was not asked
    about have no digest, and are refused by the other.
    """
    answers: Counter[str] = Counter()
    over = threading.Event()
    work = (site, team, answers, over)
    threads = [threading.Thread(target=_create, args=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _create(site: Site, team: str, answers: Counter[str], over: threading.Event) -> None:
    context = ssl.create_default_context(cafile=site.cluster.ca_file)
    host = site.cluster.url.removeprefix("https://")
    connection = http.client.HTTPSConnection(host, context=context, timeout=30)
    headers = {
        "Authorization": f"Bearer {site.cluster.token}",
        "Content-Type": "application/json",
    }
    spec = {"containers": [{"name": "p", "image": site.good}]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "p-"}, "spec": spec}
    path = f"/api/v1/namespaces/{team}/pods?dryRun=All"
    while not over.is_set():
        connection.request("POST", path, json.dumps(pod), headers)
        answer = connection.getresponse()
        said = answer.read().decode()
        pinned = site.pinned(site.good) in said
        good = answer.status == http.HTTPStatus.CREATED and pinned
        answers["201" if good else f"{answer.status} {said}"] += 1
    connection.close()
