"""Serves a directory over http for packaging/try/installer: python3 server.py DIRECTORY PORT-FILE

/whole/NAME is the file, /cut/NAME stops in its middle, and /slow/NAME sends no more after the first half, once PORT-FILE.halfway is there.
"""

import contextlib
import http.server
import os
import sys

directory, told = sys.argv[1:]


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        kind, name = self.path.strip("/").split("/")
        path = os.path.join(directory, name)
        if kind not in ("whole", "cut", "slow") or not os.path.exists(path):
            return self.send_error(404)
        with open(path, "rb") as file:
            data = file.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if kind == "whole":
            return self.wfile.write(data)
        self.wfile.write(data[: len(data) // 2])
        self.wfile.flush()
        if kind == "slow":
            open(told + ".halfway", "w").close()
            # Until the other end goes, in whichever way.
            with contextlib.suppress(ConnectionError):
                self.rfile.read()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(told + ".new", "w") as port:
    port.write(str(server.server_port))
os.rename(told + ".new", told)
server.serve_forever()
