"""Both generations of the command line, as scripts of today call it."""

import contextlib
import http.server
import socket
import threading

import pytest

from jules_server import A_LONG_TEXT, body_of

ADD = [["add"], ["--add-task"], ["-a"]]
LIST = [["list"], ["--tasks"], ["-t"]]
HEALTH = [["health"], ["--health"], ["-H"]]
STATUS = [["--task-status"], ["-s"]]
RESULTS = [["--results"], ["-r"]]
LIMIT = [["--limit"], ["-l"]]
EVERY = (
    [[*add, "x"] for add in ADD]
    + LIST
    + HEALTH
    + [[*status, "1"] for status in STATUS]
    + RESULTS
)


def words(arguments):
    """The name of a case: its arguments."""
    return " ".join(arguments)


@pytest.fixture
def jack(server):
    """Runs a command that talks to the server, which has to go well, and gives what it printed."""

    def run(*arguments):
        ended = server.run(*arguments, "--url", server.url)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    return run


def refused(server, *arguments):
    """The complaint of a command that did not go well: one line, and no output."""
    ended = server.run(*arguments)
    assert ended.returncode > 0, f"{arguments}: {ended.stdout}"
    assert ended.stdout == ""
    assert ended.stderr.endswith("\n") and ended.stderr.count("\n") == 1, ended.stderr
    assert ended.stderr.strip()
    return ended.stderr


# --- Add ---


@pytest.mark.parametrize("add", ADD, ids=words)
@pytest.mark.parametrize("text", ["write", "two words", "🚀 it's\ntwo lines", A_LONG_TEXT])
def test_a_text_becomes_a_task(jack, jules, add, text):
    jack(*add, text)

    assert jules.texts() == [text]
    assert [data["task"] for data in jules.unassigned().values()] == [text]


@pytest.mark.parametrize(
    "arguments",
    [
        ["add", "--url", "{url}/", "x"],
        ["--url", "{url}/", "--add-task", "x"],
        ["-a", "x", "--url={url}"],
    ],
    ids=words,
)
def test_the_url_may_come_first_and_may_end_in_a_slash(server, jules, arguments):
    ended = server.run(*(each.format(url=server.url) for each in arguments))

    assert ended.returncode == 0, ended.stderr
    assert jules.texts() == ["x"]


@pytest.mark.parametrize("add", ADD, ids=words)
@pytest.mark.parametrize("text", ["", "  "])
def test_a_text_of_nothing_is_refused(server, jules, add, text):
    refused(server, *add, text, "--url", server.url)

    assert jules.tasks() == []


# --- List ---


@pytest.mark.parametrize("tasks", LIST, ids=words)
def test_all_tasks_are_listed_newest_first(jack, jules, tasks):
    texts = ["alpha", "beta 🚀", "gamma"]
    for text in texts:
        jules.add(text)

    printed = jack(*tasks)

    assert sorted(texts, key=printed.index) == texts[::-1]


@pytest.mark.parametrize("tasks", LIST, ids=words)
def test_a_list_of_nothing_is_no_failure(server, tasks):
    assert server.run(*tasks, "--url", server.url).returncode == 0


@pytest.mark.parametrize("tasks", LIST[1:], ids=words)
@pytest.mark.parametrize("limit", LIMIT, ids=words)
def test_a_limited_list_has_the_newest(jack, jules, tasks, limit):
    for text in ("alpha", "beta", "gamma"):
        jules.add(text)

    printed = jack(*tasks, *limit, "2")

    assert [text in printed for text in ("alpha", "beta", "gamma")] == [False, True, True]


@pytest.mark.parametrize("limit", ["many", "-1", "1.5", ""])
def test_a_limit_that_is_no_number_is_refused(server, limit):
    refused(server, "--tasks", "--limit", limit, "--url", server.url)


# --- Health ---


@pytest.mark.parametrize("health", HEALTH, ids=words)
def test_a_server_that_is_well_says_so(jack, health):
    assert "ok" in jack(*health).lower()


# --- The status of a task ---


@pytest.mark.parametrize("status", STATUS, ids=words)
def test_the_status_of_a_task_is_told_by_both_of_its_ids(jack, jules, status):
    task = jules.submit("write", assigned_to="ada")
    [number] = jules.pending_ids("ada")
    jules.put(f"/tasks/{task}", {"status": "half-done"})

    assert "half-done" in jack(*status, task)
    assert "half-done" in jack(*status, number)


@pytest.mark.parametrize("status", STATUS, ids=words)
def test_the_status_of_a_completed_task_is_completed(jack, jules, status):
    task = jules.submit("write")
    assert "completed" not in jack(*status, task)

    jules.post(f"/tasks/{task}/complete", {"result": "done"})

    assert "completed" in jack(*status, task)


@pytest.mark.parametrize("status", STATUS, ids=words)
@pytest.mark.parametrize("task", ["no-such-task", "987654321", "../health", ""])
def test_the_status_of_a_task_that_there_is_not_is_refused(server, status, task):
    refused(server, *status, task, "--url", server.url)


# --- Results ---


@pytest.mark.parametrize("results", RESULTS, ids=words)
def test_results_are_those_of_completed_tasks(jack, jules, results):
    first, second = jules.add("x", agent="ada"), jules.submit("y")
    assert "by ada" not in jack(*results)

    body_of(jules.complete("ada", first, "by ada 🚀"))
    body_of(jules.post(f"/tasks/{second}/complete", {"result": "by id"}))

    printed = jack(*results)
    assert "by ada 🚀" in printed
    assert "by id" in printed


@pytest.mark.parametrize("results", RESULTS, ids=words)
@pytest.mark.parametrize("limit", LIMIT, ids=words)
def test_limited_results_are_the_newest(jack, jules, results, limit):
    for text in ("alpha", "beta", "gamma"):
        body_of(jules.complete("ada", jules.add("x", agent="ada"), text))

    printed = jack(*results, *limit, "2")

    assert [text in printed for text in ("alpha", "beta", "gamma")] == [False, True, True]


# --- What goes wrong ---


@pytest.mark.parametrize("arguments", EVERY, ids=words)
def test_a_server_that_is_not_there_is_told_in_one_line(idle_server, arguments):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen, so that nobody else can either
        address = "{}:{}".format(*nobody.getsockname())

        assert address in refused(idle_server, *arguments, "--url", f"http://{address}")


@contextlib.contextmanager
def other_server(status, content):
    """The URL of a server of another kind, which always answers the same."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as other:
        thread = threading.Thread(target=other.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{other.server_port}"
        finally:
            other.shutdown()
            thread.join()


@pytest.mark.parametrize("arguments", EVERY, ids=words)
@pytest.mark.parametrize(
    "status, content",
    [
        (500, b'{"error": "broken"}'),
        (502, b"<html>\nBad\nGateway</html>"),
        (200, b"<html>\n</html>"),
    ],
    ids=["broken", "gateway", "no json"],
)
def test_an_answer_of_another_kind_is_told_in_one_line(idle_server, arguments, status, content):
    with other_server(status, content) as url:
        refused(idle_server, *arguments, "--url", url)


@pytest.mark.parametrize("arguments", [each for each in EVERY if each not in HEALTH], ids=words)
def test_a_server_that_asks_for_a_key_is_told_in_one_line(idle_server, arguments):
    idle_server.new_key("ci")
    idle_server.start()

    refused(idle_server, *arguments, "--url", idle_server.url)


@pytest.mark.parametrize(
    "url", ["nonsense", "ftp://127.0.0.1", "http://", "http://127.0.0.1:99999"]
)
def test_a_url_that_is_none_is_told_in_one_line(idle_server, url):
    refused(idle_server, "health", "--url", url)


@pytest.mark.parametrize(
    "arguments",
    [["add"], ["--add-task"], ["-a"], ["--task-status"], ["-s"], ["-t", "-l"]],
    ids=words,
)
def test_an_option_without_its_value_is_told_in_one_line(idle_server, arguments):
    refused(idle_server, *arguments)
