"""FakeAnchore's calls about what is in an image: content, vulnerabilities, feeds."""

from collections.abc import Callable

from aiohttp import web

from tests.fakes.anchore_dialects import Speech
from tests.fakes.anchore_store import AnchoreStore
from tests.fakes.anchore_wire import Json, engine_error, iso

KINDS = ["os", "files", "npm", "gem", "python", "java", "binary", "go", "malware"]


def package(name: str, version: str, kind: str = "dpkg") -> Json:
    """An entry of `content` as Engine has it of Debian."""
    return {
        "cpes": [f"cpe:2.3:a:{name}:{name}:{version}:*:*:*:*:*:*:*"],
        "license": "MIT",
        "licenses": ["MIT"],
        "origin": "N/A",
        "package": name,
        "size": "4096",
        "sourcepkg": "N/A",
        "type": kind,
        "version": version,
    }


def vulnerability(
    name: str, version: str, vulnerability_id: str, severity: str, *, fix: str = "None"
) -> Json:
    """An entry of `vulnerabilities` as Engine has it of Debian."""
    return {
        "feed": "vulnerabilities",
        "feed_group": "debian:12",
        "fix": fix,
        "nvd_data": [],
        "package": f"{name}-{version}",
        "package_cpe": "None",
        "package_cpe23": "None",
        "package_name": name,
        "package_path": "pkgdb",
        "package_type": "dpkg",
        "package_version": version,
        "severity": severity,
        "url": f"https://security-tracker.debian.org/tracker/{vulnerability_id}",
        "vendor_data": [],
        "vuln": vulnerability_id,
        "will_not_fix": False,
    }


class ReportCalls:
    """`account` tells whose images a request is about."""

    def __init__(
        self, store: AnchoreStore, account: Callable[[web.Request], str], speech: Speech
    ) -> None:
        self._store = store
        self._account = account
        self._digest = "image_digest" if speech.api == "v2" else "imageDigest"

    async def kinds(self, request: web.Request) -> web.Response:
        return self._refused(request) or web.json_response(KINDS)

    async def content(self, request: web.Request) -> web.Response:
        kind, digest = request.match_info["kind"], request.match_info["digest"]
        found = self._store.contents.get(digest, {}).get(kind, [])
        body = {self._digest: digest, "content_type": kind, "content": found}
        return self._refused(request) or web.json_response(body)

    async def vulnerabilities(self, request: web.Request) -> web.Response:
        digest = request.match_info["digest"]
        body = {
            self._digest: digest,
            "vulnerability_type": request.match_info["kind"],
            "vulnerabilities": self._store.vulnerable.get(digest, []),
        }
        return self._refused(request) or web.json_response(body)

    async def feeds(self, _: web.Request) -> web.Response:
        groups = [
            {"enabled": True, "last_sync": iso(at), "name": name, "record_count": count}
            for name, (count, at) in self._store.feeds.items()
        ]
        return web.json_response([{"enabled": True, "groups": groups, "name": "vulnerabilities"}])

    def _refused(self, request: web.Request) -> web.Response | None:
        image = self._store.find(request.match_info["digest"], self._account(request))
        if image is None:
            return web.json_response(engine_error(404, "image not found in DB"), status=404)
        if image.status != "analyzed":
            said = f"image is not analyzed - analysis_status: {image.status}"
            return web.json_response(engine_error(404, said), status=404)
        return None
