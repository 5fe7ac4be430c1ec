"""What the tests of the old API share: a server, those who call it, and what they read.

Nothing here waits by sleeping. A test waits for an answer, for the ready line or for the end of a
process, each with a deadline.
"""

import json
import os
import pathlib
import re
import select
import signal
import subprocess
import threading

import pytest
import requests

# Longer than anything takes on a machine that is busy with other things. Only a test that fails
# waits as long.
PATIENCE = 60

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

LONG_TEXT = "0123456789abcdef" * 3200  # 50 KiB
A_LONG_TEXT = pytest.param(LONG_TEXT, id="50 KiB")  # of which the whole would be the name of a case

# Integers that no task is called, one of which no register holds, and a text.
UNKNOWN_NUMBERS = ("987654321", "9" * 40)
UNKNOWN_IDS = (*UNKNOWN_NUMBERS, "no-such-task")


def environment_for(folder, **variables):
    """An environment that knows of no other server, with its state in this folder."""
    inherited = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith("JACK_") and name not in ("PORT", "A2A_JULES_PORT")
    }
    return inherited | {"XDG_STATE_HOME": str(folder)} | variables


def body_of(answer, status=200):
    """The JSON of an answer that has this status."""
    assert answer.status_code == status, f"{answer.request.method} {answer.url}: {answer.text}"
    assert answer.headers["Content-Type"].split(";")[0] == "application/json"
    return json.loads(answer.content.decode("utf-8"))


def error_of(answer, status):
    """The complaint of an answer that has this status."""
    error = body_of(answer, status)["error"]
    assert isinstance(error, str) and error
    return error


class Client:
    """Calls one server, also after a restart. A thread has a client of its own."""

    def __init__(self, server, headers):
        self.server = server
        self.session = requests.Session()
        self.session.trust_env = False  # proxies and .netrc are not for this
        self.session.headers.update(headers)

    # --- Requests ---

    def request(self, method, path, **options):
        return self.session.request(
            method, self.server.url + path, timeout=PATIENCE, allow_redirects=False, **options
        )

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.request("POST", path, json=body, **options)

    def put(self, path, body=None, **options):
        return self.request("PUT", path, json=body, **options)

    def send(self, method, path, content, content_type="application/json"):
        """A request whose body is these bytes. Without a content type, the header is missing."""
        headers = {"Content-Type": content_type} if content_type else {}
        return self.request(method, path, data=content, headers=headers)

    # --- What has to go well ---

    def add(self, text, agent=None):
        """The integer id of a new task."""
        assigned = {} if agent is None else {"assigned_to": agent}
        return body_of(self.post("/add_task", {"task": text} | assigned), 201)["id"]

    def submit(self, text, **fields):
        """The string id of a new task."""
        return body_of(self.post("/tasks", {"task": text} | fields), 201)["task_id"]

    def tasks(self):
        return body_of(self.get("/tasks"))

    def texts(self):
        return [task["task"] for task in self.tasks()]

    def data(self, task):
        return body_of(self.get(f"/tasks/{task}"))["data"]

    def unassigned(self):
        """The fields of the tasks of nobody, by their ids."""
        return {task["task_id"]: task["data"] for task in body_of(self.get("/tasks/unassigned"))}

    def pending(self, agent):
        return body_of(self.get(f"/agent/{agent}/tasks"))

    def pending_ids(self, agent):
        return sorted(task["id"] for task in self.pending(agent))

    # --- What may be refused ---

    def acknowledge(self, agent, task):
        return self.post(f"/agent/{agent}/tasks/{task}/acknowledge")

    def complete(self, agent, task, response):
        return self.post(f"/agent/{agent}/tasks/{task}/complete", {"response": response})


class Server:
    """A `jack serve` of one data directory, whose log outlives restarts."""

    def __init__(self, jack, folder):
        self.jack = pathlib.Path(jack).absolute()
        self.folder = folder
        self.data_dir = folder / "data"
        self.log = folder / "serve.log"
        self.process = None
        self.urls = []

    @property
    def url(self):
        return self.urls[0]

    def client(self, **headers):
        """Somebody who sends these headers with each request, `_` standing for `-`."""
        return Client(self, {name.replace("_", "-"): text for name, text in headers.items()})

    def run(self, *arguments):
        """A command to its end: its status, and its outputs as text."""
        return subprocess.run(
            [str(self.jack), *map(str, arguments)],
            cwd=self.folder,
            env=environment_for(self.folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE,
            check=False,
        )

    def new_key(self, *arguments):
        made = self.run("keys", "new", *arguments, "--data-dir", self.data_dir)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    # --- From start to end ---

    def start(self, *flags, http=("--http", "127.0.0.1:0"), **variables):
        """Returns once it answers."""
        arguments = ["serve", "--json", "--data-dir", str(self.data_dir), *http, *flags]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(self.jack), *arguments],
                cwd=self.folder,
                env=environment_for(self.folder, **variables),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        can_be_read, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        ready = self.process.stdout.readline() if can_be_read else b""
        if not ready.endswith(b"\n"):
            self.kill()
            pytest.fail(f"no server: {self.log.read_text(errors='replace')}")
        self.urls = json.loads(ready)["http"]

    def stop(self):
        """Ends it in order."""
        self.process.send_signal(signal.SIGTERM)
        status = self.end()
        assert status == 0, self.log.read_text(errors="replace")

    def kill(self):
        """Ends it without a warning."""
        self.process.kill()
        self.end()

    def restart(self):
        self.stop()
        self.start()

    def end(self):
        status = self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.process = None
        return status

    def close(self):
        """Stops it, should it run. If it has ended by itself or does not end, the test fails."""
        if self.process is None:
            return
        try:
            self.stop()
        finally:
            if self.process is not None:
                self.kill()


def at_once(*acts):
    """Calls all acts at the same time, each in its own thread, and returns what they returned."""
    results = [None] * len(acts)
    failures = []
    start = threading.Barrier(len(acts))

    def call(number, act):
        try:
            start.wait(PATIENCE)
            results[number] = act()
        except BaseException as failure:  # raised again below, where the test hears of it
            failures.append(failure)

    threads = [threading.Thread(target=call, args=each) for each in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results
