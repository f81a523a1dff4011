"""A proxy on loopback that notes every byte of meaning between a browser and a server."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

HOPS = {"connection", "keep-alive", "transfer-encoding"}


@dataclass(frozen=True)
class Heard:
    """A request with its answer, whole."""

    request: str
    """`GET /path`, headers, an empty line, the body."""
    answer: str

    @property
    def path(self) -> str:
        """The address without the host."""
        return self.request.split(" ", 2)[1].partition("\n")[0]

    @property
    def text(self) -> str:
        """Both."""
        return f"{self.request}\n{self.answer}"


class Overheard(ThreadingHTTPServer):
    """Passes everything on to a port, and keeps it in `heard`, in the order of the answers."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.to = port
        self.heard: list[Heard] = []
        self.lock = Lock()

    def url(self, path: str) -> str:
        """The address of a page, as the browser shall ask for it."""
        return f"http://127.0.0.1:{self.server_port}{path}"


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Overheard

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        told = [(name, value) for name, value in self.headers.items() if name.lower() not in HOPS]
        plain = [(name, value) for name, value in told if name.lower() != "accept-encoding"]
        upstream = HTTPConnection("127.0.0.1", self.server.to, timeout=60)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in plain:
                upstream.putheader(name, value)
            upstream.endheaders(body)
            answer = upstream.getresponse()
            found = answer.read()
        finally:
            upstream.close()
        headers = [(n, v) for n, v in answer.getheaders() if n.lower() not in HOPS]
        asked = f"{self.command} {self.path}\n{_lines(told)}\n{body.decode('utf-8', 'replace')}"
        answered = f"{answer.status}\n{_lines(headers)}\n{found.decode('utf-8', 'replace')}"
        with self.server.lock:
            self.server.heard.append(Heard(asked, answered))
        self.send_response_only(answer.status)
        for name, value in headers:
            if name.lower() != "content-length":
                self.send_header(name, value)
        if answer.status != 304:
            self.send_header("Content-Length", str(len(found)))
        self.end_headers()
        self.wfile.write(found)

    do_GET = do_POST = do_HEAD = _pass  # noqa: N815 # http.server looks for these

    def log_message(self, *_args: object) -> None:
        """Silent."""


@contextmanager
def overheard(port: int) -> Iterator[Overheard]:
    """A proxy before this port, for as long as the block lasts."""
    server = Overheard(port)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _lines(headers: list[tuple[str, str]]) -> str:
    return "".join(f"{name}: {value}\n" for name, value in headers)
