"""What the tests of the old API share: a server, those who call it, and what they read."""

import json
import re

import jack_server
import pytest
import requests
from jack_server import PATIENCE, at_once, environment_for

__all__ = ["PATIENCE", "at_once", "environment_for"]  # and all of below

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

LONG_TEXT = "0123456789abcdef" * 3200  # 50 KiB
A_LONG_TEXT = pytest.param(LONG_TEXT, id="50 KiB")  # of which the whole would be the name of a case

# Integers that no task is called, one of which no register holds, and a text.
UNKNOWN_NUMBERS = ("987654321", "9" * 40)
UNKNOWN_IDS = (*UNKNOWN_NUMBERS, "no-such-task")


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


class Server(jack_server.Server):
    def client(self, **headers):
        """Somebody who sends these headers with each request, `_` standing for `-`."""
        return Client(self, {name.replace("_", "-"): text for name, text in headers.items()})
