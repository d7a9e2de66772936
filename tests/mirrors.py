"""A web server on this machine that stands for the mirrors of data sets."""

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Answers ``/<mirror>/<file>`` from ``pages``: bytes, or a function of the request handler."""

    daemon_threads = True

    def __init__(self):
        self.pages = {}
        self.asked = []
        super().__init__(("127.0.0.1", 0), Handler)

    def mirror(self, name, pages):
        self.pages |= {f"/{name}/{file}": page for file, page in pages.items()}
        return f"http://127.0.0.1:{self.server_port}/{name}/"

    def downloads(self):
        return [path for method, path in self.asked if method == "GET"]

    def wait_for_probes(self, number):
        """Wait until so many mirrors were asked whether they answer: the last may come late."""
        deadline = time.monotonic() + 30
        while sum(method == "HEAD" for method, _ in self.asked) < number:
            assert time.monotonic() < deadline, self.asked
            time.sleep(0.001)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append((self.command, self.path))
        page = self.server.pages.get(self.path)
        if callable(page):
            page(self)
        elif page is None:
            self.send_error(404)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(page)

    def do_HEAD(self):
        self.do_GET()

    def log_message(self, *args):
        pass


def half(page):
    """Return a page whose connection breaks off in the middle."""

    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(page)))
        handler.end_headers()
        handler.wfile.write(page[: len(page) // 2])

    return answer


@contextmanager
def serving():
    """Give a server that runs as long as the context."""
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()
