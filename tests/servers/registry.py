"""A docker-registry of the tests' own, and skopeo to push to it.

Works outside pytest too: `with RegistryServer(folder) as server: server.push(content, "app:1")`.
"""

import os
import shutil
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from shared.domain.reference import ImageReference, parse_reference
from tests.fakes.images import Content, write_layout
from tests.servers.process import ServerProcess, executable

PUSH_TIMEOUT = 60.0
USER, PASSWORD = "ada", "imagegate-tests"
_HTPASSWD = f"{USER}:$2b$04$abcdefghijklmnopqrstuuP2PUa/bDr95xhjKJZTQ6oVlSOYr8L3C\n"
"""bcrypt of PASSWORD: the only kind that docker-registry reads."""


class RegistryServer(ServerProcess):
    """One docker-registry over plain HTTP. `start()`, then `host`; `stop()` leaves nothing behind.

    `locked`: it wants USER and PASSWORD. `notifications` is that section of its configuration.
    """

    name = "docker-registry"

    def __init__(self, folder: Path, *, locked: bool = False, notifications: str = "") -> None:
        super().__init__(folder)
        self._locked = locked
        self._notifications = notifications

    @property
    def host(self) -> str:
        """As in a reference."""
        return f"127.0.0.1:{self.port}"

    def command_line(self) -> list[str]:
        configuration = self.folder / "config.yml"
        configuration.write_text(self._configuration())
        (self.folder / "htpasswd").write_text(_HTPASSWD)
        return [executable(self.name), "serve", str(configuration)]

    def push(self, content: Content, name: str) -> ImageReference:
        """Push an image, or an index with all its images, as `PATH:TAG`."""
        layout = self.folder / "layout"
        shutil.rmtree(layout, ignore_errors=True)
        write_layout(layout, content)
        return self.push_layout(f"{layout}:latest", name)

    def push_layout(self, layout: str, name: str) -> ImageReference:
        """Push `FOLDER:TAG`, an OCI layout, as `PATH:TAG`."""
        reference = parse_reference(f"{self.host}/{name}")
        login = ["--dest-creds", f"{USER}:{PASSWORD}"] if self._locked else []
        options = ["--all", "--preserve-digests", "--dest-tls-verify=false", *login]
        source, destination = f"oci:{layout}", f"docker://{reference}"
        ran = subprocess.run(
            [executable("skopeo"), "--insecure-policy", "copy", *options, source, destination],
            env={"PATH": os.defpath, "HOME": str(self.folder), "TMPDIR": str(self.folder)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PUSH_TIMEOUT,
            check=False,
        )
        if ran.returncode:
            raise RuntimeError(f"skopeo could not push {reference}: {ran.stderr.decode()}")
        return reference

    def put(self, content: Content, name: str) -> ImageReference:
        """Push what skopeo takes for no image, as its own tools do: by plain requests."""
        reference = parse_reference(f"{self.host}/{name}")
        for digest, body in content.blobs.items():
            upload = self._send("POST", f"/v2/{reference.path}/blobs/uploads/")
            sign = "&" if "?" in upload else "?"
            self._send("PUT", f"{upload}{sign}digest={digest}", body, "application/octet-stream")
        manifest = f"/v2/{reference.path}/manifests/{reference.tag}"
        self._send("PUT", manifest, content.manifest, content.media_type)
        return reference

    def _send(self, method: str, path: str, body: bytes = b"", kind: str = "") -> str:
        """One request; where it says to go on."""
        url = path if path.startswith("http") else f"http://{self.host}{path}"
        request = urllib.request.Request(url, data=body, method=method)
        request.add_header("Content-Type", kind or "application/octet-stream")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=PUSH_TIMEOUT) as answer:
            return str(answer.headers.get("Location", ""))

    def _configuration(self) -> str:
        lines = [
            "version: 0.1",
            "log: {level: error, accesslog: {disabled: true}}",
            f"storage: {{filesystem: {{rootdirectory: '{self.folder}/data'}}}}",
            f"http: {{addr: '{self.host}', secret: tests}}",
        ]
        if self._locked:
            lines.append(f"auth: {{htpasswd: {{realm: tests, path: '{self.folder}/htpasswd'}}}}")
        return "\n".join(lines) + f"\n{self._notifications}"

    def answers(self) -> bool:
        """Ours holds the port if it was free and its process still lives."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://{self.host}/v2/", timeout=1):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return error.code == 401
        except OSError:
            return False
