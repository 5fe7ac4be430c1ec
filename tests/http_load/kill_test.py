#!/usr/bin/python3
"""A server that is killed while it answers: whoever repeats a request hears of the same tasks, and
nothing happens twice.

    kill_test.py JACK [--kills N] [--seed N]

In each life of the server a round of requests is under way at once, each on a connection of its
own: submits and batches under an Idempotency-Key, claims, and succeeds. The kill comes at a random
moment from the first request that is sent on, or, in every second life, when the first answer
arrives. Then the server is started again on the same data, and every request is repeated.
"""

import argparse
import collections
import concurrent.futures
import json
import pathlib
import random
import select
import shutil
import socket
import statistics
import tempfile
import time
import unittest

from event_stream import EventParser, request_for
from server import PATIENCE, Server

SINGLES = 4  # submits of one task, in each round
BATCH = 20
CLAIMS = 2
SUCCEEDS = 2
KILL_WITHIN_SECONDS = 0.004  # about what a round takes

ARGUMENTS = argparse.ArgumentParser()
ARGUMENTS.add_argument("jack")
ARGUMENTS.add_argument("--kills", type=int, default=100)
ARGUMENTS.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
OPTIONS = ARGUMENTS.parse_args()


# --- Requests -------------------------------------------------------------------------------------


class Request:
    """One request over a connection of its own, which may be broken before its answer is whole."""

    def __init__(self, method, path, body=None, key=None):
        self.content = b"" if body is None else json.dumps(body).encode()
        self.head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        self.head += f"Content-Type: application/json\r\nContent-Length: {len(self.content)}\r\n"
        if key is not None:
            self.head += f"Idempotency-Key: {key}\r\n"
        self.socket = None

    def connect(self, server):
        self.socket = socket.create_connection((server.host, server.port), PATIENCE)

    def send(self):
        try:
            self.socket.sendall(f"{self.head}\r\n".encode() + self.content)
        except (BrokenPipeError, ConnectionResetError):
            pass  # killed already

    def answer(self):
        """Its status and JSON; None where it has not come whole."""
        data = b""
        try:
            while part := self.socket.recv(65536):
                data += part
        except ConnectionResetError:
            pass
        self.socket.close()
        head, end, content = data.partition(b"\r\n\r\n")
        if not end:
            return None
        status = int(head.split()[1])
        if status == 204:
            return status, None
        length = int(head.lower().split(b"content-length: ")[1].split()[0])
        return (status, json.loads(content)) if len(content) == length else None

    def ask(self, server):
        """The whole answer of a server that lives."""
        self.connect(server)
        self.send()
        answer = self.answer()
        assert answer is not None, f"no answer to {self.head}: {server.said()}"
        return answer


class Submit(Request):
    """One task, or many where there is a `count`."""

    def __init__(self, queue, key, count=None):
        self.is_batch = count is not None
        self.count = count or 1
        tasks = [{"queue": queue, "payload_text": f"{key} {each}"} for each in range(self.count)]
        super().__init__("POST", "/v1/tasks", {"tasks": tasks} if self.is_batch else tasks[0], key)

    def told(self, answer):
        """What the server says of each task: its id, and whether it was there already."""
        status, body = answer
        assert status in (200, 201), answer
        tasks = body["tasks"] if self.is_batch else [body]
        assert len(tasks) == self.count, answer
        if not self.is_batch:
            assert (status == 200) == body["repeated"], answer
        return [(task["id"], task["repeated"]) for task in tasks]


class Claim(Request):
    def __init__(self, queue, wait):
        super().__init__("POST", f"/v1/queues/{queue}/claim?max=1&lease=30s&wait={wait}")

    def told(self, answer):
        status, body = answer
        assert status == 200, answer
        return body["tasks"]


class Succeed(Request):
    def __init__(self, task, result):
        self.task, self.result = task["id"], result
        body = {"token": task["token"], "result_text": result}
        super().__init__("POST", f"/v1/tasks/{self.task}/succeed", body)


# --- The test -------------------------------------------------------------------------------------


class Kills(unittest.TestCase):
    def setUp(self):
        print(f"seed {OPTIONS.seed}: --seed {OPTIONS.seed} repeats it", flush=True)
        self.dice = random.Random(OPTIONS.seed)
        self.folder = tempfile.mkdtemp(prefix="jack-http-kill-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.server = Server(pathlib.Path(OPTIONS.jack), self.folder)
        self.addCleanup(self.server.close)
        self.start_seconds = []
        self.count = collections.Counter()
        self.submitted = set()  # every task there is
        self.results = {}  # of those that have succeeded
        self.left = set()  # tasks of claims that are still to be done

    def start(self):
        began = time.monotonic()
        self.server.start()
        self.start_seconds.append(time.monotonic() - began)

    def test_a_request_that_is_repeated_after_a_kill_happens_once(self):
        self.start()
        for number in range(OPTIONS.kills):
            self.live_and_die(number)
        self.finish_claims()
        self.report()
        self.check_events()
        self.server.stop()

    def live_and_die(self, number):
        """One life of the server, and what the next one says of it."""
        work = self.prepare(f"work-{number}")
        submits = [Submit(f"single-{number}", f"key-{number}-{each}") for each in range(SINGLES)]
        submits.append(Submit(f"batch-{number}", f"key-{number}-batch", BATCH))
        claims = [Claim(f"work-{number}", "10s") for _ in range(CLAIMS)]
        succeeds = [Succeed(task, f"result of {number}") for task in work]
        requests = submits + claims + succeeds
        answers = self.kill_amid(requests, when_answered=number % 2 == 1)
        self.start()
        for submit in submits:
            self.check_submit(submit, answers[submit])
        self.check_queue(f"single-{number}", SINGLES)
        self.check_queue(f"batch-{number}", BATCH)
        for succeed in succeeds:
            self.check_succeed(succeed, answers[succeed])
        for claim in claims:
            self.check_claim(claim, answers[claim])

    def prepare(self, queue):
        """Tasks to claim meanwhile, and some that are claimed already, which it gives."""
        submit = Submit(queue, f"key-{queue}", SUCCEEDS + CLAIMS)
        tasks = {task for task, _ in submit.told(submit.ask(self.server))}
        self.submitted |= tasks
        claims = [Claim(queue, "10s") for _ in range(SUCCEEDS)]
        held = [task for claim in claims for task in claim.told(claim.ask(self.server))]
        self.assertEqual(len(held), SUCCEEDS)
        self.left |= tasks - {task["id"] for task in held}
        return held

    def kill_amid(self, requests, when_answered):
        """Sends all and kills the server. The answers that came whole, None for the others."""
        order = self.dice.sample(requests, len(requests))
        for request in order:
            request.connect(self.server)
        if when_answered:
            kill_when = [request.socket for request in requests], PATIENCE
        else:
            # Early rather than late: the first tasks are there long before the round is over.
            kill_when = [], KILL_WITHIN_SECONDS * self.dice.random() ** 3
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            killed = executor.submit(self.kill_when, *kill_when)
            for request in order:
                request.send()
            self.assertEqual(killed.result(), -9)
        self.count["kills"] += 1
        answers = {request: request.answer() for request in requests}
        self.count["requests"] += len(requests)
        self.count["unanswered"] += sum(answer is None for answer in answers.values())
        return answers

    def kill_when(self, readable, seconds):
        select.select(readable, [], [], seconds)
        return self.server.kill()

    # --- What the next life says ---

    def check_submit(self, submit, before):
        """The repeat names the tasks that there are, and says so where that was said before."""
        repeats = submit.told(submit.ask(self.server))
        tasks = [task for task, _ in repeats]
        if before is not None:
            self.assertEqual(tasks, [task for task, _ in submit.told(before)])
            self.assertTrue(all(repeated for _, repeated in repeats), repeats)
        were_there = {repeated for _, repeated in repeats}
        self.assertEqual(len(were_there), 1, f"half of a batch was there: {repeats}")
        self.count["submits"] += 1
        self.count["repeated"] += were_there == {True}
        self.count["repeated unanswered"] += were_there == {True} and before is None
        self.assertFalse(self.submitted & set(tasks), "two keys name one task")
        self.submitted |= set(tasks)
        self.assertEqual(submit.told(submit.ask(self.server)), [(task, True) for task in tasks])

    def check_queue(self, queue, tasks):
        listed = [task["id"] for task in self.get(f"/v1/tasks?queue={queue}&limit=1000")["tasks"]]
        self.assertEqual(len(listed), tasks, queue)
        self.assertEqual(len(set(listed)), tasks, queue)
        self.assertLessEqual(set(listed), self.submitted, queue)

    def check_succeed(self, succeed, before):
        if before is not None:
            self.assertEqual(before[0], 204, before)
        state = self.get(f"/v1/tasks/{succeed.task}")["state"]
        self.count["succeeds"] += 1
        self.count["succeeded unanswered"] += before is None and state == "succeeded"
        self.assertIn(state, ["running", "succeeded"] if before is None else ["succeeded"])
        for _ in range(2):
            self.assertEqual(succeed.ask(self.server), (204, None))
        other = Succeed({"id": succeed.task, "token": self.token_of(succeed)}, "another result")
        self.assertEqual(other.ask(self.server)[0], 409, "a second result was taken")
        self.results[succeed.task] = succeed.result

    def token_of(self, succeed):
        return json.loads(succeed.content)["token"]

    def check_claim(self, claim, before):
        """A lease that was answered holds; one that was not ends some time, and comes again."""
        self.count["claims"] += 1
        for task in [] if before is None else claim.told(before):
            self.count["leases that outlived a kill"] += 1
            succeed = Succeed(task, "by a lease of before")
            self.assertEqual(succeed.ask(self.server), (204, None), task)
            self.results[task["id"]] = succeed.result
            self.assertIn(task["id"], self.left)
            self.left.remove(task["id"])

    # --- The end ---

    def finish_claims(self):
        """Tasks whose claim was never answered come again once their leases have ended."""
        self.count["claimed again"] = len(self.left)
        queues = {self.get(f"/v1/tasks/{task}")["queue"] for task in self.left}
        until = time.monotonic() + PATIENCE
        while queues:
            self.assertLess(time.monotonic(), until, f"{len(self.left)} tasks do not come again")
            claims = {queue: Claim(queue, "2s") for queue in queues}
            for claim in claims.values():
                claim.connect(self.server)
                claim.send()
            for queue, claim in claims.items():
                self.do(claim.told(claim.answer()))
            queues = {self.get(f"/v1/tasks/{task}")["queue"] for task in self.left}

    def do(self, tasks):
        for task in tasks:
            self.assertIn(task["id"], self.left, "a task that was done came again")
            succeed = Succeed(task, "at last")
            self.assertEqual(succeed.ask(self.server), (204, None))
            self.results[task["id"]] = succeed.result
            self.left.remove(task["id"])

    def check_events(self):
        """The whole history: each task was submitted once and has succeeded at most once."""
        self.assertEqual(self.all_tasks(), self.submitted)
        happened = collections.Counter((event.task, event.kind) for event in self.history())
        for task in self.submitted:
            self.assertEqual(happened[task, "submitted"], 1, task)
            self.assertEqual(happened[task, "succeeded"], int(task in self.results), task)
        for task, result in self.results.items():
            self.assertEqual(self.get(f"/v1/tasks/{task}")["result_text"], result)

    def all_tasks(self):
        tasks, cursor = [], ""
        while True:
            page = self.get(f"/v1/tasks?limit=1000{cursor}")
            tasks += [task["id"] for task in page["tasks"]]
            if "next" not in page:
                self.assertEqual(len(tasks), len(set(tasks)), "a list names a task twice")
                return set(tasks)
            cursor = f"&cursor={page['next']}"

    def history(self):
        """All events until one that is submitted now."""
        last = Submit("last", "key-last")
        ((task, _),) = last.told(last.ask(self.server))
        self.submitted.add(task)
        stream, parser, events = Request("GET", ""), EventParser(), []
        stream.connect(self.server)
        stream.socket.sendall(request_for(after=(0, 0)))
        while not events or events[-1].task != task:
            events += parser.feed(stream.socket.recv(65536))
        stream.socket.close()
        return events

    def get(self, path):
        status, body = Request("GET", path).ask(self.server)
        self.assertEqual(status, 200, body)
        return body

    def report(self):
        count = self.count
        print(
            f"{count['kills']} kills amid {count['requests']} requests, {count['unanswered']} of "
            f"them without an answer\n"
            f"{count['submits']} submits repeated: {count['repeated']} answered `repeated: true`, "
            f"{count['repeated unanswered']} of these had no answer before\n"
            f"{count['succeeds']} succeeds repeated: {count['succeeded unanswered']} of these had "
            f"taken effect without an answer\n"
            f"{count['claims']} claims: {count['leases that outlived a kill']} leases went on, "
            f"{count['claimed again']} tasks were claimed again\n"
            f"{len(self.submitted)} tasks, {len(self.results)} results; ready after "
            f"{statistics.median(self.start_seconds):.3f} s (median), "
            f"{max(self.start_seconds):.3f} s (most)"
        )
        # Kills that all come too early or too late would test nothing.
        self.assertGreater(count["unanswered"], 0)
        self.assertGreater(count["repeated unanswered"], 0)
        self.assertGreater(count["submits"], count["repeated"])


if __name__ == "__main__":
    unittest.main(argv=["kill_test.py"], verbosity=2)
