#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""faultserver.py DIR: serve files over HTTP on 127.0.0.1 and misbehave as the URL says.

    http://127.0.0.1:PORT/~close=1000,match=firmware/metadata/timestamp.json

The first path element, after '~', is a list of faults that hold for every URL below it. Prints its address, then one
line a request: path, Range asked for, status, body bytes sent.

    match=TEXT     only paths that contain TEXT, which has no slash (default: all)
    times=N        only the first N requests that match; then it behaves (but for norange)
    close=K        close the connection after K body bytes
    stall=K        send K body bytes, then nothing more
    slow=N         N bytes a second
    lie=D          say a length D bytes larger than the file (or smaller), send the file and close
    norange        answer 200 with the whole file to a range request
    range=D        answer another range than asked for, shifted by D, under its true Content-Range
    wrongrange=D   send the range asked for with a Content-Range that is off by D
    etag           another ETag in each answer
    status=N       answer with this status
    retry=S        with a Retry-After of S seconds
    to=HEX         redirect to this URL (hex); to=loop redirects to itself for ever; to=N redirects N times
    endless        no length, no end
    gzip           the body gzip-encoded, and said so
    headers=N      N bytes of header lines
    html           200 with a page, as captive portals do
    cut=N          the file ends after N bytes
    more=N         the file has N more bytes
    flip=K         bit 0 of byte K is flipped
"""
import gzip
import http.server
import os
import re
import sys
import threading
import time


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen = {}
    lock = threading.Lock()

    def log_message(self, *args):
        pass

    def faults(self):
        """The faults that hold for this request, and the path of the file."""
        match = re.match(r"/~([^/]*)(/.*)$", self.path)
        if not match:
            return {}, self.path
        faults = dict((f.split("=", 1) + [""])[:2] for f in match[1].split(",") if f)
        if faults.get("match", "") not in match[2]:
            return {}, match[2]
        with self.lock:
            count = self.seen[match[1]] = self.seen.get(match[1], 0) + 1
        if "times" in faults and count > int(faults["times"]):
            return {f: "" for f in faults if f == "norange"}, match[2]
        return faults, match[2]

    def body_of(self, path, faults):
        name = os.path.normpath(os.path.join(root, path.lstrip("/")))
        if "html" in faults:
            return b"<html><body>Welcome to the hotel. Please log in.</body></html>\n" * 10
        if "endless" in faults:
            return b""
        if not name.startswith(root) or not os.path.isfile(name):
            return None
        with open(name, "rb") as file:
            data = file.read()
        if "cut" in faults:
            data = data[: int(faults["cut"])]
        data += bytes(int(faults.get("more", "0")))
        if "flip" in faults and int(faults["flip"]) < len(data):
            k = int(faults["flip"])
            data = data[:k] + bytes([data[k] ^ 1]) + data[k + 1:]
        return data

    def do_GET(self):
        faults, path = self.faults()
        self.sent = 0
        self.code = 0
        try:
            self.answer(faults, path)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        print(f"{path} {self.headers.get('Range', '-')} {self.code} {self.sent}", file=sys.stderr, flush=True)

    def start(self, code, length, headers=()):
        self.code = code
        self.send_response(code)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def empty(self, code, headers=()):
        self.start(code, 0, headers)

    def redirect(self, faults):
        to = faults["to"]
        if to == "loop":
            target = self.path
        elif to.isdigit() and len(to) < 3:
            target = re.sub(r"to=\d+", f"to={int(to) - 1}", self.path) if int(to) > 1 else \
                re.sub(r"/~[^/]*", "", self.path)
        else:
            target = bytes.fromhex(to).decode()
        self.empty(302, [("Location", target)])

    def answer(self, faults, path):
        headers = [("ETag", f'"{time.monotonic_ns()}"' if "etag" in faults else '"one"')]
        if "headers" in faults:
            headers += [(f"X-Fill-{i}", "x" * 1000) for i in range(int(faults["headers"]) // 1000)]
        if "retry" in faults:
            headers.append(("Retry-After", faults["retry"]))
        if "to" in faults:
            self.redirect(faults)
            return
        if "status" in faults:
            self.empty(int(faults["status"]), headers)
            return
        body = self.body_of(path, faults)
        if body is None:
            self.empty(404)
            return
        if "gzip" in faults:
            body = gzip.compress(body)
            headers.append(("Content-Encoding", "gzip"))
        total = len(body)
        code = 200
        match = re.match(r"bytes=(\d+)-(\d*)$", self.headers.get("Range", ""))
        if_range = self.headers.get("If-Range")
        if match and "norange" not in faults and (if_range is None or if_range == headers[0][1]):
            first = int(match[1]) + int(faults.get("range", "0"))
            last = min(int(match[2]) if match[2] else total - 1, total - 1)
            if first > last:
                self.empty(416)
                return
            body = body[first:last + 1]
            first += int(faults.get("wrongrange", "0"))
            headers.append(("Content-Range", f"bytes {first}-{first + len(body) - 1}/{total}"))
            code = 206
        if "endless" in faults:
            self.close_connection = True
            self.start(200, None, headers + [("Connection", "close")])
            while True:
                self.send(b"A" * 65536)
        self.start(code, len(body) + int(faults.get("lie", "0")), headers)
        if "close" in faults:
            self.send(body[: int(faults["close"])])
            self.close_connection = True
        elif "stall" in faults:
            self.send(body[: int(faults["stall"])])
            time.sleep(60)
            self.close_connection = True
        elif "slow" in faults:
            step = int(faults["slow"])
            for at in range(0, len(body), step):
                self.send(body[at: at + step])
                time.sleep(1)
        else:
            self.send(body)
            self.close_connection = "lie" in faults

    def send(self, data):
        self.wfile.write(data)
        self.wfile.flush()
        self.sent += len(data)


root = os.path.realpath(sys.argv[1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
