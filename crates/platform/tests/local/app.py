"""The app of the tests: what it does with a request is in the path."""
import json, os, signal, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

FLAGS = dict(flag.partition("=")[::2] for flag in sys.argv[1:])
if "ignore-term" in FLAGS:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("pid", os.getpid(), flush=True)
time.sleep(float(FLAGS.get("boot", 0)))
if "die" in FLAGS:
    sys.exit(int(FLAGS["die"]))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, text, status=200):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Dyno", os.environ["DYNO"])
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/env":
            self.answer(json.dumps(dict(os.environ, CWD=os.getcwd())))
        elif url.path == "/headers":
            self.answer(json.dumps({name.lower(): value for name, value in self.headers.items()}))
        elif url.path == "/sleep":
            time.sleep(int(query["ms"]) / 1000)
            self.answer(os.environ["DYNO"])
        elif url.path == "/exit":
            os._exit(int(query["code"]))
        elif url.path == "/unlisten":
            threading.Thread(target=server.shutdown).start()
            self.answer("from now on connections are refused")
        elif url.path == "/close":
            self.close_connection = True
        elif url.path == "/nonsense":
            self.wfile.write(b"this is no HTTP\r\n\r\n")
            self.close_connection = True
        elif url.path == "/half":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"0123456789")
            self.close_connection = True
        elif url.path == "/stream":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in range(int(query["n"])):
                try:
                    self.wfile.write(b"5\r\npiece\r\n")
                    self.wfile.flush()
                except OSError:
                    print("the client left", flush=True)
                    return
                time.sleep(0.1)
            self.wfile.write(b"0\r\n\r\n")
        elif url.path == "/echo" and self.headers.get("Upgrade") == "echo":
            self.send_response(101)
            self.send_header("Connection", "Upgrade")
            self.send_header("Upgrade", "echo")
            self.end_headers()
            self.close_connection = True
            while data := self.connection.recv(4096):
                self.connection.sendall(data)
        else:
            self.answer(os.environ["DYNO"])

    do_HEAD = do_GET

    def do_POST(self):
        length = self.headers.get("Content-Length")
        if length is not None:
            body = self.rfile.read(int(length))
        else:
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        self.answer(f"{len(body)} {sum(body)}")


class Server(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


server = Server(("127.0.0.1", int(os.environ["PORT"])), Handler)
server.serve_forever()
server.server_close()
time.sleep(60)
