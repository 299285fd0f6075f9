"""A web server of this computer that misbehaves as a test asks of it."""

import hashlib
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """A web server on this machine that does, request by request, what a test asks of it."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.plans: dict[str, list[dict]] = defaultdict(list)  # for the next requests; then all goes well
        self.always: dict = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.sent = 0
        self.released = threading.Event()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"server_": self}))
        self.http.daemon_threads = True
        self.http.handle_error = lambda *about: None  # a client that goes away is part of the test
        self.address = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.released.set()
        self.http.shutdown()
        self.http.server_close()

    @property
    def ranges(self) -> list[str]:
        return [headers.get("Range", "") for _, headers in self.asked]


class Handler(BaseHTTPRequestHandler):
    server_: Server

    def log_message(self, *arguments) -> None:
        pass

    def do_GET(self) -> None:
        server = self.server_
        server.asked.append((self.path, dict(self.headers)))
        queue = server.plans[self.path]
        plan = server.always | (queue.pop(0) if queue else {})
        content = plan.get("content", server.files.get(self.path))
        if plan.get("close"):
            return
        if "status" in plan or content is None:
            self.answer(
                plan.get("status", 404), plan.get("headers", {}), plan.get("body", b"<html>an error page</html>")
            )
            return
        etag = plan.get("etag", f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"')
        headers = {"ETag": etag} if etag else {}
        start = 0
        if (wanted := self.headers.get("Range")) and plan.get("ranges", True):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if self.headers["If-Range"] == etag or plan.get("rude"):
                if start >= len(content):
                    self.answer(416, {}, b"")
                    return
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            else:
                start = 0
        body = content[start:]
        if not plan.get("chunked"):
            headers["Content-Length"] = str(plan.get("length", len(body)))
        self.answer(206 if "Content-Range" in headers else 200, headers, body[: plan.get("cut")], plan)

    def answer(self, status: int, headers: dict[str, str], body: bytes, plan: dict | None = None) -> None:
        plan = plan or {}
        if plan.get("chunked"):
            self.protocol_version = "HTTP/1.1"
            headers |= {"Transfer-Encoding": "chunked", "Connection": "close"}
            body = f"{len(body):x}\r\n".encode() + body + (b"\r\n" if plan.get("cut") else b"\r\n0\r\n\r\n")
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        for position in range(0, len(body), 4096):
            self.wfile.write(body[position : position + 4096])
            self.wfile.flush()
            self.server_.sent += len(body[position : position + 4096])
            time.sleep(plan.get("slow", 0))
        if plan.get("stall"):
            self.server_.released.wait(10)
