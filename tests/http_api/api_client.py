"""Somebody who calls the API, and holds each answer against the document."""

import concurrent.futures
import json
import time
import urllib.parse
import weakref

import requests
from jack_server import PATIENCE

JSON = "application/json"


class Client:
    """Calls one server, also after a restart. A thread has a client of its own."""

    def __init__(self, server, document, headers=None):
        self.server = server
        self.document = document
        self.headers = dict(headers or {})
        self.session = requests.Session()
        self.session.trust_env = False  # proxies and .netrc are not for this
        weakref.finalize(self, self.session.close)  # its connections end with it

    def another(self, **headers):
        """Another client of this server, with these headers beside, `_` standing for `-`."""
        more = {name.replace("_", "-"): text for name, text in headers.items()}
        return Client(self.server, self.document, self.headers | more)

    # --- Requests ---

    def request(self, method, path, json_body=None, body=None, stream=False, **options):
        """The answer, which the document has. What was wrong with the request, by the document,
        is in its `request_faults`; a request that went well had nothing wrong."""
        headers = self.headers | options.pop("headers", {})
        if json_body is not None:
            body = json.dumps(json_body)
            headers.setdefault("Content-Type", JSON)
        answer = self.session.request(
            method,
            self.server.url + path,
            data=body,
            headers=headers,
            timeout=PATIENCE,
            allow_redirects=False,
            stream=stream,
            **options,
        )
        sent = urllib.parse.urlsplit(answer.request.url)
        streams = stream and answer.status_code == 200
        operation = self.document.check_answer(
            method,
            sent.path,
            answer.status_code,
            answer.headers,
            None if streams else answer.content,
        )
        answer.request_faults = []
        if operation is not None:
            query = urllib.parse.parse_qsl(sent.query, keep_blank_values=True)
            answer.request_faults = self.document.faults_of_request(
                operation, sent.path, query, answer.request.headers, answer.request.body
            )
        is_taken = answer.status_code < 300 and (streams or b'"error":{' not in answer.content)
        if is_taken:  # as a whole
            assert not answer.request_faults, f"{method} {path}: taken, but {answer.request_faults}"
        return answer

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, json_body=None, **options):
        return self.request("POST", path, json_body, **options)

    def patch(self, path, json_body=None, **options):
        return self.request("PATCH", path, json_body, **options)

    def delete(self, path, **options):
        return self.request("DELETE", path, **options)

    def send(self, path, content, content_type, **options):
        """A POST of these bytes."""
        return self.post(path, body=content, headers={"Content-Type": content_type}, **options)

    # --- What has to go well ---

    def submit(self, queue, **task):
        """The id of a new task."""
        return value_of(self.post(f"/v1/queues/{queue}/tasks", task), 201)["id"]

    def claim_all(self, queue, **query):
        return value_of(self.post(f"/v1/queues/{queue}/claim", params=query))["tasks"]

    def claim(self, queue, **query):
        """The one task that is there."""
        [task] = self.claim_all(queue, **query)
        return task

    def running(self, queue, **task):
        """A new task of a queue that is else empty, claimed for longer than any test takes."""
        task_id = self.submit(queue, **task)
        claimed = self.claim(queue, lease="1h")
        assert claimed["id"] == task_id
        return claimed

    def task(self, task_id, **query):
        return value_of(self.get(f"/v1/tasks/{task_id}", params=query))

    def state(self, task_id):
        return self.task(task_id)["state"]

    def queue(self, queue):
        return value_of(self.get(f"/v1/queues/{queue}"))

    def list(self, **query):
        return value_of(self.get("/v1/tasks", params=query))

    def say(self, verb, claimed, **fields):
        """Something about an attempt, by whoever holds its lease."""
        return self.post(f"/v1/tasks/{claimed['id']}/{verb}", {"token": claimed["token"]} | fields)

    def act(self, verb, task_id, **options):
        """Something about a task that needs no lease."""
        return self.post(f"/v1/tasks/{task_id}/{verb}", **options)

    def succeeded(self, queue, **result):
        """The id of a task that has succeeded."""
        claimed = self.running(queue)
        done(self.say("succeed", claimed, **result))
        return claimed["id"]


# --- Answers ---


def value_of(answer, status=200):
    """The JSON of an answer that has this status."""
    assert answer.status_code == status, f"{answer.request.method} {answer.url}: {answer.text}"
    return json.loads(answer.content.decode("utf-8"))


def done(answer):
    assert answer.status_code == 204, f"{answer.request.method} {answer.url}: {answer.text}"


def refused(answer, status, code, field=None):
    """The problem of an answer that has this status and this code."""
    problem = value_of(answer, status)
    assert problem["code"] == code, problem
    assert problem["detail"], problem
    if field is not None:
        assert problem.get("field") == field, problem
    return problem


def invalid(answer, field=None):
    """As refused(), of a request that the document too calls wrong."""
    problem = refused(answer, 400, "invalid_argument", field)
    assert answer.request_faults, f"the document has nothing against it: {problem}"
    return problem


def errors_of(changed):
    """Of many tasks: the code of each error, None where there is none."""
    return [item["error"]["code"] if "error" in item else None for item in changed["tasks"]]


# --- Waiting ---


def in_background(act):
    """Begins it in another thread; `result(PATIENCE)` waits for its end."""
    executor = concurrent.futures.ThreadPoolExecutor(1)
    future = executor.submit(act)
    executor.shutdown(wait=False)
    return future


def until(condition):
    """Asks again and again until it is so."""
    end = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < end, "it has not come to be"
    return value
