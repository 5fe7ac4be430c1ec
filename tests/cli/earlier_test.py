"""The commands of the earlier program, also against servers that do what servers should not.

Each server here is a socket and a script: it reads a request to its end and then does one thing.
What `jack serve` answers is in tests/jules/test_command_line.py.
"""

import json
import os
import pty
import socket
import ssl
import subprocess
import sys
import threading
import time

from support import JACK, PATIENCE, JackTest, main

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
COMMANDS = (["add", "x"], ["list"], ["task-status", "1"], ["results"], ["health"])


def answer(body, head=OK):
    """A whole answer with this body."""
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def request_from(connection):
    """A request to the end of its body."""
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65536)
        if not part:
            return received
        received += part
    head, _, body = received.partition(b"\r\n\r\n")
    for line in head.lower().splitlines():
        if line.startswith(b"content-length:"):
            while len(body) < int(line.split(b":")[1]):
                body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


class RawServer:
    """Calls `act(connection, request)` for each connection, one after the other, in a thread."""

    def __init__(self, act, host="127.0.0.1", read=request_from, wrap=lambda accepted: accepted):
        self.act = act
        self.read = read
        self.wrap = wrap
        self.requests = []
        self.ended = threading.Event()  # for acts that keep a client waiting
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, 0), family=family)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while True:
            try:
                accepted, _ = self.listener.accept()
            except OSError:  # it has been closed
                return
            accepted.settimeout(PATIENCE)
            try:
                with self.wrap(accepted) as connection:
                    self.requests.append(self.read(connection))
                    self.act(connection, self.requests[-1])
            except OSError:  # the client has gone, or does not like the certificate
                accepted.close()

    def close(self):
        self.ended.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()


class EarlierTest(JackTest):
    def server(self, act, **options):
        """A server that does this; bytes stand for sending them."""
        if isinstance(act, bytes):
            content = act

            def act(connection, _):
                connection.sendall(content)

        server = RawServer(act, **options)
        self.addCleanup(server.close)
        return server

    def complaint(self, server, *arguments, status=5):
        return self.refused(*arguments, "--url", server.url, status=status)

    def all_complain(self, act, said, status=5):
        server = self.server(act)
        for command in COMMANDS:
            complaint = self.complaint(server, *command, status=status)
            self.assertIn(f"127.0.0.1:{server.port}", complaint)
            self.assertIn(said, complaint)


class Failures(EarlierTest):
    def test_a_server_that_closes_without_an_answer(self):
        self.all_complain(lambda connection, _: None, "closed the connection without an answer")

    def test_an_answer_that_is_not_http(self):
        self.all_complain(b"220 mail.example.org ESMTP\r\n\r\n", "not HTTP")

    def test_an_answer_that_breaks_off(self):
        self.all_complain(OK + b"Content-Length: 100\r\n\r\n{", "broke off amid its answer")
        self.all_complain(OK, "broke off amid its answer")

    def test_an_answer_that_stalls_is_waited_for_until_the_deadline(self):
        for part in (b"", OK, OK + b"Content-Length: 100\r\n\r\n{"):
            def stall(connection, _, part=part):
                connection.sendall(part)
                server.ended.wait(PATIENCE)

            server = self.server(stall)
            began = time.monotonic()
            complaint = self.complaint(server, "list", "--timeout", "300ms")
            self.assertIn(f"127.0.0.1:{server.port} did not answer within 300ms", complaint)
            self.assertLess(time.monotonic() - began, PATIENCE / 2)

    def test_an_answer_that_trickles_is_over_at_the_deadline(self):
        def trickle(connection, _):
            connection.sendall(OK + b"Content-Length: 100000\r\n\r\n")
            while not server.ended.wait(0.02):
                connection.sendall(b" ")

        server = self.server(trickle)
        self.assertIn("did not answer within 300ms",
                      self.complaint(server, "list", "--timeout", "300ms"))

    def test_an_answer_that_says_that_it_is_too_large_is_not_waited_for(self):
        def announce(connection, _):
            connection.sendall(OK + b"Content-Length: 70000000\r\n\r\n")
            server.ended.wait(PATIENCE)

        server = self.server(announce)
        self.assertIn("too large", self.complaint(server, "list"))

    def test_a_server_that_never_accepts_is_waited_for_until_the_deadline(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            for scheme in ("http", "https"):
                url = f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
                self.assertIn("did not answer within 300ms",
                              self.refused("list", "--timeout", "300ms", "--url", url, status=5))

    def test_an_add_of_which_nobody_knows_says_so(self):
        server = self.server(lambda connection, _: None)
        self.assertIn("may have taken the request", self.complaint(server, "add", "x"))
        self.assertNotIn("may have taken", self.complaint(server, "list"))

    def test_an_answer_without_an_end_is_too_large(self):
        def flood(connection, _):
            connection.sendall(OK + b"\r\n")
            while True:
                connection.sendall(b" " * (1 << 20))

        self.assertIn("too large", self.complaint(self.server(flood), "list"))
        head = OK + b"X-Filler: " + b"x" * 100_000 + b"\r\n\r\n"
        self.assertIn("too large", self.complaint(self.server(head), "list"))

    def test_a_redirect_is_not_followed(self):
        self.all_complain(
            answer(b"", b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/elsewhere\r\n"),
            "http://127.0.0.1:1/elsewhere, which is not followed", status=4)
        self.all_complain(answer(b"", b"HTTP/1.1 300 Choices\r\n"), "status 300", status=4)

    def test_json_of_another_shape(self):
        for body in (b"17", b"null", b'"x"', b"[1]"):
            self.all_complain(answer(body), "not one of the earlier server's")
        for body in (b"", b"{", b"[" * 100_000, b"{} {}", b'"\xff"'):
            self.all_complain(answer(body), "not JSON")

    def test_the_servers_own_words_are_told_in_one_line(self):
        words = json.dumps({"error": "broken\n\x1b[31m\u009b" + "x" * 5000}).encode()
        complaint = self.complaint(self.server(answer(words, b"HTTP/1.1 500 Oh\r\n")), "list",
                                   status=70)
        self.assertIn("says: broken\\n\\x1b[31m", complaint)
        self.assertTrue(complaint.strip().isprintable())
        self.assertLess(len(complaint), 500)
        problem = json.dumps({"title": "No", "detail": "the queue is full"}).encode()
        self.assertIn("the queue is full", self.complaint(
            self.server(answer(problem, b"HTTP/1.1 429 No\r\n")), "add", "x", status=4))

    def test_the_status_of_an_answer_decides_that_of_the_command(self):
        for code, status in ((400, 4), (401, 7), (403, 7), (404, 3), (405, 4), (413, 4), (429, 4),
                             (500, 70), (502, 5), (503, 5), (507, 4)):
            self.all_complain(answer(b"no", b"HTTP/1.1 %d No\r\n" % code), f"status {code}", status)

    def test_a_host_that_nobody_knows(self):
        self.assertIn("nowhere.invalid:5000 cannot be reached",
                      self.refused("list", "--url", "http://nowhere.invalid:5000", status=5))


class Answers(EarlierTest):
    def list(self, server, *arguments):
        return self.jack("list", "--url", server.url, *arguments)

    def test_an_answer_in_chunks_is_put_together(self):
        def send(connection, _):
            connection.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n")
            for part in (b'[{"id": 1, "ta', b'sk": "in par', b'ts"}]'):
                connection.sendall(b"%x;x=y\r\n%b\r\n" % (len(part), part))
            connection.sendall(b"0\r\nX-Trailer: x\r\n\r\n")

        self.assertIn("in parts", self.list(self.server(send)))

    def test_an_answer_may_end_with_its_connection(self):
        head = b"HTTP/1.0 200 OK\r\nServer: Werkzeug/2.0\r\n\r\n"
        self.assertIn("alpha", self.list(self.server(head + b'[{"id": 1, "task": "alpha"}]')))

    def test_a_refusal_may_come_before_the_request_has_been_read(self):
        server = self.server(answer(b'{"error": "too large"}', b"HTTP/1.1 413 No\r\n"),
                             read=lambda connection: connection.recv(1, socket.MSG_PEEK))
        complaint = self.refused("add", "x" * 100_000, "--url", server.url, status=4)
        self.assertIn("too large", complaint)

    def test_json_is_what_the_server_said(self):
        tasks = [{"id": 2, "task": "b", "more": {"x": None}}, {"id": 1, "task": "a"}]
        server = self.server(answer(json.dumps(tasks).encode()))
        self.assertEqual(json.loads(self.list(server, "--json")), tasks)
        self.assertEqual(json.loads(self.list(server, "--json", "--limit", "1")), tasks[:1])

    def test_what_was_put_into_a_task_does_not_reach_the_terminal(self):
        task = [{"id": 1, "task": "\x1b]0;title\x07\nnext", "status": "\x9b2J"}]
        printed = self.list(self.server(answer(json.dumps(task).encode())))
        self.assertIn("\\x1b]0;title\\x07\\nnext", printed)
        self.assertTrue(printed.replace("\n", "").isprintable())

    def test_lists_have_titles_and_on_a_terminal_colours(self):
        task = [{"id": 1, "task": "alpha", "status": "completed"}]
        server = self.server(answer(json.dumps(task).encode()))
        self.assertRegex(self.list(server), r"^ID +STATUS +CREATED +AGENT +TASK\n1 +completed")
        self.assertIn("\x1b[32mcompleted", self.on_terminal("list", "--url", server.url))

    def on_terminal(self, *arguments):
        ours, theirs = pty.openpty()
        environment = {k: v for k, v in self.environment.items() if k != "NO_COLOR"}
        process = self.start(*arguments, stdout=theirs, env=environment | {"TERM": "xterm"})
        os.close(theirs)
        text = b""
        try:
            while part := os.read(ours, 4096):
                text += part
        except OSError:  # how Linux says that the other end is closed
            pass
        os.close(ours)
        self.end(process)
        return text.decode()

    def test_results_are_those_of_tasks_that_may_have_one(self):
        details = {
            "5": {"status": "completed", "result": ["five", 5]},
            "4": {"status": "completed", "result": ""},
            "3": {"status": "acknowledged"},
            "2": {"result": "two"},  # and no status, as with some of the earlier server
        }
        listed = [{"id": int(task), **data} for task, data in details.items()]
        for entry in listed:
            entry.pop("result", None)
        listed.append({"id": 1, "task": "removed meanwhile"})
        listed.append({"task": "without id", "response": "zero"})

        def send(connection, request):
            task = request.split()[1].decode().removeprefix("/tasks").removeprefix("/")
            if not task:
                connection.sendall(answer(json.dumps(listed).encode()))
            elif task in details:
                found = {"task_id": task, "data": details[task]}
                connection.sendall(answer(json.dumps(found).encode()))
            else:
                connection.sendall(answer(b"<html>", b"HTTP/1.1 404 Not Found\r\n"))

        server = self.server(send)
        printed = self.jack("results", "--url", server.url).splitlines()
        self.assertEqual([line.split()[-1] for line in printed],
                         ["RESULT", '["five",5]', "two", "zero"])
        self.assertNotIn(b"/tasks/3 ", b"".join(server.requests))
        self.assertEqual(self.json("results", "--limit", "1", "--url", server.url),
                         [{"task_id": "5", "data": details["5"]}])


class Requests(EarlierTest):
    def request(self, *arguments, url="{}", body=b"{}", **variables):
        """What a server was sent: its first line, the other lines, the body."""
        server = self.server(answer(body))
        self.jack(*arguments, "--url", url.format(server.url), **variables)
        head, _, sent = server.requests[0].partition(b"\r\n\r\n")
        first, *lines = head.decode().replace(f":{server.port}", ":PORT").split("\r\n")
        return first, lines, sent

    def test_a_task_is_posted_as_json(self):
        first, lines, body = self.request("add", "- \"é\"\n", "--assigned-to", "ada")
        self.assertEqual(first, "POST /add_task HTTP/1.1")
        self.assertIn("Content-Type: application/json", lines)
        self.assertIn("Host: 127.0.0.1:PORT", lines)
        self.assertEqual(json.loads(body), {"task": "- \"é\"\n", "assigned_to": "ada"})

    def test_the_url_may_have_a_path_and_end_in_slashes(self):
        self.assertEqual(self.request("health", url="{}/x/jules//")[0],
                         "GET /x/jules/health HTTP/1.1")

    def test_an_id_stays_one_segment(self):
        first, _, _ = self.request("task-status", "../a b?c", body=b'{"data": {}}')
        self.assertEqual(first, "GET /tasks/..%2Fa%20b%3Fc HTTP/1.1")
        for task in ("", ".", ".."):
            self.refused("task-status", task, status=2)

    def test_the_key_comes_from_the_environment_and_goes_into_a_header(self):
        self.assertIn("X-API-Key: jack_secret",
                      self.request("health", JACK_API_KEY="jack_secret")[1])
        self.assertFalse([line for line in self.request("health")[1] if "Key" in line])
        complaint = self.refused("health", status=4, JACK_API_KEY="a\r\nX-Other: 1")
        self.assertIn("JACK_API_KEY", complaint)
        self.assertNotIn("Other", complaint)
        # It is not taken for a setting that is misspelt.
        self.jack("config", JACK_API_KEY="jack_secret")

    def test_a_text_that_is_not_utf_8_is_refused(self):
        self.refused("add", os.fsdecode(b"\xff"), status=4)

    def test_a_server_is_found_at_any_kind_of_address(self):
        for host in ["127.0.0.1"] + ["::1"] * socket.has_dualstack_ipv6():
            server = self.server(answer(b'{"status": "ok"}'), host=host)
            literal = f"[{host}]" if ":" in host else host
            self.assertIn("ok", self.jack("health", "--url", f"http://{literal}:{server.port}"))
        server = self.server(answer(b'{"status": "ok"}'))
        self.assertIn("ok", self.jack("health", "--url", f"http://localhost:{server.port}"))

    def test_all_addresses_of_a_name_are_tried(self):
        addresses = ("::1", "127.0.0.1", "127.0.0.2")
        (self.folder / "hosts").write_text("".join(f"{each} many.test\n" for each in addresses))
        mount = 'mount --bind hosts /etc/hosts && exec "$@"'
        inside = ["unshare", "-Urm", "sh", "-c", mount, "sh"]
        options = {"cwd": self.folder, "env": self.environment, "timeout": PATIENCE}
        if subprocess.run([*inside, "true"], stderr=subprocess.DEVNULL, **options).returncode != 0:
            print("no names of its own are allowed here: one address each", file=sys.stderr)
            return
        for host in addresses[1:]:  # while nobody listens at the first
            server = self.server(answer(b'{"status": "ok"}'), host=host)
            url = f"http://many.test:{server.port}"
            subprocess.run([*inside, JACK, "health", "--url", url], check=True,
                           stdout=subprocess.DEVNULL, **options)


class Tls(EarlierTest):
    def setUp(self):
        super().setUp()
        self.certificate, key = self.folder / "c.pem", self.folder / "k.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=jack", "-addext", "subjectAltName=DNS:localhost",
             "-keyout", key, "-out", self.certificate],
            check=True, capture_output=True, timeout=PATIENCE,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        server = self.server(
            answer(b'{"status": "ok"}'),
            wrap=lambda accepted: context.wrap_socket(accepted, server_side=True),
        )
        self.url = f"https://localhost:{server.port}"

    def test_a_certificate_that_is_trusted_and_names_the_host(self):
        self.assertIn("ok", self.jack("health", "--url", self.url,
                                      SSL_CERT_FILE=str(self.certificate)))

    def test_a_certificate_that_nobody_trusts(self):
        complaint = self.refused("health", "--url", self.url, status=5)
        self.assertIn("no TLS with localhost:", complaint)
        self.assertIn("self-signed certificate", complaint)

    def test_a_certificate_of_another_host(self):
        complaint = self.refused("health", "--url", self.url.replace("localhost", "127.0.0.1"),
                                 status=5, SSL_CERT_FILE=str(self.certificate))
        self.assertIn("mismatch", complaint)

    def test_a_server_without_tls(self):
        server = self.server(b"HTTP/1.1 400 No\r\n\r\n", read=lambda connection: connection.recv(9))
        complaint = self.refused("health", "--url", server.url.replace("http", "https"), status=5)
        self.assertIn("no TLS with", complaint)


class Spellings(EarlierTest):
    def test_flags_are_commands(self):
        server = self.server(answer(b'[{"id": 1, "task": "alpha"}]'))
        for line in (["list", "--limit", "1"], ["--tasks", "-l1"], ["--limit=1", "-t"]):
            self.assertIn("alpha", self.jack(*line, "--url", server.url))
        self.assertIn("usage: jack list", self.jack("-t", "--help"))

    def test_the_help_names_todays_commands_beside_them(self):
        overview = self.jack("--help").partition("\nFor scripts of before")[2]
        for command, flag, today in (("add", "-a", "submit"), ("list", "-t", "ls"),
                                     ("task-status", "-s", "show"), ("results", "-r", "result"),
                                     ("health", "-H", "doctor")):
            self.assertRegex(overview, rf"\n  {command} [^;]*; as a flag: --[a-z-]+, {flag};\s+today")
            self.assertIn(f"jack {today}", self.jack(command, "--help"))

    def test_mixes_are_told_in_one_line(self):
        for line in (["--tasks", "--health"], ["-a"], ["-a", "x", "--limit", "1"], ["--limit", "1"],
                     ["-t", "x"], ["-t", "--limit", "0"], ["-H", "--bogus"], ["--task"],
                     ["list", "--timeout", "0"], ["list", "-t"], ["-s", ".."]):
            self.refused(*line, status=2)


if __name__ == "__main__":
    main()
