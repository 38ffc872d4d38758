"""A Hub on loopback: what `huggingface_hub` asks to make a repository, commit to it, list and read it."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_a_test"


class StandIn(ThreadingHTTPServer):
    """Repositories in memory: by name their files, and one branch whose commit is named after its contents."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.asked: list[tuple[str, str]] = []
        self.refuses_commits = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def commit_of(self, name: str) -> str:
        files = sorted(self.repositories[name].items())
        return sha1(b"".join(key.encode() + value for key, value in files)).hexdigest()


@contextmanager
def stand_in() -> Iterator[StandIn]:
    """Run one for as long as the context lasts."""
    server = StandIn()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: StandIn
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        path, body = self._read()
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = "/".join(part for part in (asked.get("organization") or "user", asked["name"]) if part)
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                return self._answer(401, {"error": "who are you?"})
            self.server.repositories.setdefault(name, {})
            return self._answer(200, {"url": f"{self.server.address}/{name}", "name": name, "id": name})
        if path == "/api/validate-yaml":
            return self._answer(200, {"errors": [], "warnings": []})
        name, action = self._of_repository(path)
        if action.startswith("preupload/"):
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            return self._answer(200, {"files": files})
        if action.startswith("commit/") and self.server.refuses_commits:
            self.server.refuses_commits -= 1
            return self._answer(400, {"error": "not now"})
        if action.startswith("commit/"):
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    content = base64.b64decode(line["value"]["content"])
                    self.server.repositories[name][line["value"]["path"]] = content
                elif line["key"] == "deletedFile":
                    del self.server.repositories[name][line["value"]["path"]]
            commit = self.server.commit_of(name)
            url = f"{self.server.address}/{name}/commit/{commit}"
            return self._answer(200, {"success": True, "commitOid": commit, "commitUrl": url, "hookOutput": ""})
        self._answer(404, {"error": path})

    def do_GET(self) -> None:
        path, _ = self._read()
        if path == "/api/whoami-v2":
            return self._answer(200, {"name": "user", "type": "user", "orgs": []})
        if path.startswith("/api/models/"):
            name, action = self._of_repository(path)
            if name not in self.server.repositories:
                return self._answer(404, {"error": "no such repository"}, {"X-Error-Code": "RepoNotFound"})
            files = self.server.repositories[name]
            commit = self.server.commit_of(name)
            if action.startswith("tree/"):
                listed = [
                    {"type": "file", "path": f, "size": len(c), "oid": sha1(c).hexdigest()} for f, c in files.items()
                ]
                return self._answer(200, listed)
            found = {"id": name, "sha": commit, "siblings": [{"rfilename": file} for file in files], "tags": []}
            return self._answer(200, found)
        self._file(path)

    do_HEAD = do_GET

    def _file(self, path: str) -> None:
        name, rest = "/".join(path.split("/")[1:3]), path.split("/")[3:]
        files = self.server.repositories.get(name)
        file = "/".join(rest[2:])
        if files is None or rest[:1] != ["resolve"]:
            return self._answer(404, {"error": path}, {"X-Error-Code": "RepoNotFound"})
        commit = self.server.commit_of(name)
        if file not in files:
            return self._answer(404, {"error": path}, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        content = files[file]
        headers = {"X-Repo-Commit": commit, "ETag": f'"{sha1(content).hexdigest()}"', "Accept-Ranges": "bytes"}
        self._send(200, content, {"Content-Type": "application/octet-stream", **headers})

    def _of_repository(self, path: str) -> tuple[str, str]:
        """Name and what is wanted, of /api/models/USER/NAME/WANTED."""
        parts = path.removeprefix("/api/models/").split("/")
        return "/".join(parts[:2]), "/".join(parts[2:])

    def _read(self) -> tuple[str, bytes]:
        path = unquote(urlsplit(self.path).path)
        self.server.asked.append((self.command, path))
        return path, self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(content).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""
