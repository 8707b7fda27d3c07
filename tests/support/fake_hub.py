"""A hub on this machine: model repositories in memory, behind the HTTP that huggingface_hub speaks.

Uploads are those of git LFS and of the commit API. Nothing is patched but the client's address.
"""

import base64
import hashlib
import json
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote, urlparse

from huggingface_hub import constants

TOKEN = "hf_" + "t" * 20


class Hub:
    """Repositories, each with its commits: `(oid, {path: bytes})`, the newest last."""

    def __init__(self):
        self.repositories, self.private, self.blobs = {}, {}, {}
        self.requests = []

    def commit(self, name, files, deleted=()):
        """Add a commit with changed and without deleted files; returns its hash."""
        commits = self.repositories.setdefault(name, [])
        content = {**(commits[-1][1] if commits else {}), **files}
        for path in deleted:
            content.pop(path)
        oid = hashlib.sha1(f"{name} {len(commits)}".encode()).hexdigest()
        commits.append((oid, content))
        return oid

    def find(self, name, revision):
        """A commit, by its hash or `main`; None if there is none."""
        commits = self.repositories.get(name, [])
        if revision == "main":
            return commits[-1] if commits else None
        return next((c for c in commits if c[0] == revision), None)

    @property
    def downloads(self):
        return [path for verb, path in self.requests if verb == "GET" and "/resolve/" in path]


class Handler(BaseHTTPRequestHandler):
    def __init__(self, hub, *args):
        self.hub = hub
        super().__init__(*args)

    def log_message(self, *args):
        pass

    def parts(self):
        path = urlparse(self.path).path
        self.hub.requests.append((self.command, path))
        return [unquote(part) for part in path.strip("/").split("/")]

    def send(self, status, content=b"", headers=()):
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for key, value in dict(headers).items():
            self.send_header(key, value)
        if "Content-Length" not in dict(headers):
            self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(raw)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def missing(self, what):
        self.send(404, {"error": what}, {"X-Error-Code": what})

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        parts = self.parts()
        if parts[:2] == ["api", "models"]:
            revision = parts[5] if len(parts) > 5 else "main"
            self.repository("/".join(parts[2:4]), revision, parts[4:5] == ["tree"])
        elif "resolve" in parts:
            self.file("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        else:
            self.missing("EntryNotFound")

    def repository(self, name, revision, tree):
        if name not in self.hub.repositories:
            return self.missing("RepoNotFound")
        if not self.hub.repositories[name]:
            return self.send(200, [] if tree else {"id": name, "sha": "0" * 40, "siblings": []})
        found = self.hub.find(name, revision)
        if found is None:
            return self.missing("RevisionNotFound")
        if tree:
            facts = {"type": "file", "size": 1, "oid": "0" * 40}
            return self.send(200, [{**facts, "path": path} for path in found[1]])
        files = [{"rfilename": path, "size": len(raw)} for path, raw in found[1].items()]
        return self.send(200, {"id": name, "sha": found[0], "siblings": files})

    def file(self, name, revision, path):
        found = self.hub.find(name, revision)
        if found is None:
            return self.missing("RevisionNotFound")
        raw = found[1].get(path)
        if raw is None:
            return self.missing("EntryNotFound")
        headers = {"ETag": f'"{hashlib.sha256(raw).hexdigest()}"', "X-Repo-Commit": found[0]}
        return self.send(200, raw, {**headers, "Content-Length": str(len(raw))})

    def do_PUT(self):
        oid = self.parts()[-1]
        self.hub.blobs[oid] = self.body()
        self.send(200)

    def do_POST(self):
        parts, raw = self.parts(), self.body()
        if parts != ["api", "validate-yaml"] and TOKEN not in self.headers.get("Authorization", ""):
            return self.send(401, {"error": "Invalid username or password."})
        if parts == ["api", "validate-yaml"]:
            return self.send(200, {"errors": [], "warnings": []})
        if parts == ["api", "repos", "create"]:
            return self.create(json.loads(raw))
        if parts[-1] == "batch":
            return self.batch(json.loads(raw))
        name = "/".join(parts[2:4])
        if parts[4] == "preupload":
            files = json.loads(raw)["files"]
            modes = {True: "lfs", False: "regular"}
            told = [
                {
                    "path": f["path"],
                    "uploadMode": modes[f["path"].endswith(".safetensors")],
                    "shouldIgnore": False,
                }
                for f in files
            ]
            return self.send(200, {"files": told})
        return self.take(name, raw)

    def create(self, wanted):
        name = f"{wanted['organization']}/{wanted['name']}"
        address = {"url": f"{constants.ENDPOINT}/{name}"}
        if name in self.hub.repositories:
            return self.send(409, {"error": "exists", **address})
        self.hub.repositories[name] = []
        self.hub.private[name] = wanted.get("private") or wanted.get("visibility") == "private"
        return self.send(200, address)

    def batch(self, wanted):
        objects = [
            {**o, "actions": {"upload": {"href": f"{constants.ENDPOINT}/lfs/{o['oid']}"}}}
            for o in wanted["objects"]
        ]
        self.send(200, {"transfer": "basic", "objects": objects})

    def take(self, name, raw):
        files, deleted = {}, []
        for line in raw.decode().splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                blob = self.hub.blobs[value["oid"]]
                assert hashlib.sha256(blob).hexdigest() == value["oid"]
                files[value["path"]] = blob
            elif entry["key"] == "deletedFile":
                deleted.append(value["path"])
        oid = self.hub.commit(name, files, deleted)
        self.send(200, {"commitUrl": f"{constants.ENDPOINT}/{name}/commit/{oid}", "commitOid": oid})


@contextmanager
def serve_hub(home, patch):
    """A hub that this process's client finds; `home` is the client's cache and token.

    Args:
        home: an empty folder.
        patch: pytest's `monkeypatch`.
    """
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, hub))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    set_client(home, f"http://127.0.0.1:{server.server_port}", patch)
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def set_client(home, address, patch):
    """Lead this process's client of the hub to an address, with a cache of its own."""
    patch.setattr(constants, "ENDPOINT", address)
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    patch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    patch.setattr(constants, "HF_TOKEN_PATH", str(home / "token"))
    patch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # its protocol is not HTTP alone
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
        patch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        patch.delenv(name, raising=False)
        patch.delenv(name.upper(), raising=False)
