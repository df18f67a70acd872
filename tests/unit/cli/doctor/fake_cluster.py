"""A cluster as `imagegate doctor` asks it; whole, until a test takes something away."""

from typing import Any

import msgspec

from services.cli.doctor.cluster import Seen, look_at_cluster
from services.cli.doctor.remarks import Remark
from shared.ports.inspection import Form, TrialPod
from tests.unit.cli.doctor.hooks import hook, judging, service

DENIED = TrialPod(403, 'admission webhook "create.imagegate.dev" denied the request: an id')
PIN = hook("pin.imagegate.dev", ("CREATE", "pods"), failurePolicy="Ignore", **service("/mutate"))


WEBHOOK = {"app.kubernetes.io/component": "webhook"}


def pod(name: str, *, ready: str = "True", labels: Any = WEBHOOK, **metadata: Any) -> Any:
    told = [{"type": "PodScheduled", "status": "True"}, {"type": "Ready", "status": ready}]
    return {
        "metadata": {"name": name, "labels": {"more": "than that", **labels}, **metadata},
        "status": {"conditions": told},
    }


class Cluster:
    """One in which imagegate is installed whole; what a kind's listing is refused for."""

    def __init__(self) -> None:
        self.calls_itself = "v1.36.3"
        self.is_behind = 0.0
        self.becomes = DENIED
        self.refuses: dict[str, Exception] = {}
        self.listed: set[str] = set()
        self.objects: dict[str, list[Any]] = {
            "ValidatingWebhookConfiguration": [
                {"metadata": {"name": "imagegate"}, "webhooks": judging()}
            ],
            "MutatingWebhookConfiguration": [
                {"metadata": {"name": "zz-imagegate"}, "webhooks": [PIN]}
            ],
            "Namespace": [
                {"metadata": {"name": name}} for name in ("kube-system", "imagegate", "team")
            ],
            "Service": [
                {"metadata": {"name": "another"}, "spec": {"selector": {"app": "other"}}},
                {"metadata": {"name": "imagegate-webhook"}, "spec": {"selector": WEBHOOK}},
                {"metadata": {"name": "other"}, "spec": {}},
            ],
            "Pod": [pod("one"), pod("two"), pod("other", labels={"app": "other"})],
            "Node": [
                {"status": {"nodeInfo": {"operatingSystem": "linux", "architecture": machine}}}
                for machine in ("amd64", "aarch64", "amd64", "")
            ],
        }

    async def version(self) -> str:
        if "version" in self.refuses:
            raise self.refuses["version"]
        return self.calls_itself

    async def behind(self) -> float:
        return self.is_behind

    async def all(self, path: str, kind: str, form: type[Form]) -> list[Form]:
        if kind in self.refuses:
            raise self.refuses[kind]
        plural = f"{kind.lower()}s".replace("policys", "policies")
        assert path.rpartition("/")[2] == plural
        self.listed.add(plural)
        return [msgspec.convert(each, form) for each in self.objects.get(kind, [])]

    async def try_pod(self, namespace: str, pod: bytes) -> TrialPod:
        return self.becomes

    async def remarks(self, *, namespace: str = "team", pinning: bool = True) -> list[Remark]:
        self.seen = Seen()
        looking = look_at_cluster(self, self.seen, namespace=namespace, pinning=pinning)
        return [remark async for remark in looking]
