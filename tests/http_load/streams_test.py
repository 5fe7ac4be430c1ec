#!/usr/bin/python3
"""Thousands of event streams and hundreds of busy clients at one server: every stream is told
everything it is to be told, once and in order.

    streams_test.py JACK [--tasks N] [--clients N] [--idle N] [--seed N]

Memory, processor time and throughput are printed. Only memory has a bound here, a generous one.
"""

import argparse
import asyncio
import collections
import pathlib
import random
import resource
import shutil
import socket
import tempfile
import time
import unittest

from event_stream import EventParser, EventStream, request_for
from http_client import Connection
from server import PATIENCE, Server

BUSY_QUEUES = 10
QUIET_QUEUES = 50
QUIET_TASKS = 100
STEADY_STREAMS = 8  # of all events
DROPPING_STREAMS = 2  # of all events, and one of each busy queue
FOLLOWED_TASKS = 40
HISTORY_BATCH, HISTORY_BATCHES = 100, 100
IDLE_STREAM_BYTES_MAX = 64 * 1024

# The server gives a reader up after 20 to 35 s in which it takes too little.
SLOW_SECONDS = 40
SLOW_PART_BYTES = 512
SLOW_PAUSE_SECONDS = 0.5
# Of what a slow reader lets lie in its own kernel. The server's kernel holds 128 KiB more, and the
# server itself 256 KiB; all events are several times that.
UNREAD_BYTES = 32 * 1024

ARGUMENTS = argparse.ArgumentParser()
ARGUMENTS.add_argument("jack")
ARGUMENTS.add_argument("--tasks", type=int, default=10_000)
ARGUMENTS.add_argument("--clients", type=int, default=200)
ARGUMENTS.add_argument("--idle", type=int, default=2_000)
ARGUMENTS.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
OPTIONS = ARGUMENTS.parse_args()


def busy_queue(number):
    return f"busy-{number % BUSY_QUEUES}"


def quiet_queue(number):
    return f"quiet-{number % QUIET_QUEUES}"


def raise_file_limit():
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


# --- Clients --------------------------------------------------------------------------------------


class Ledger:
    """What the clients did and were told."""

    def __init__(self):
        self.queue_of = {}
        self.attempt_of = {}
        self.succeeded = set()

    def submitted(self, task, queue):
        assert task not in self.queue_of, f"two submits gave one task: {task}"
        self.queue_of[task] = queue

    def claimed(self, task, attempt):
        assert task not in self.attempt_of, f"{task} was given out twice"
        self.attempt_of[task] = attempt


class Client:
    """Submits a task, takes one of the same queue, and ends it; again and again."""

    def __init__(self, server, number, ledger):
        self.connection = Connection(server)
        self.queue = busy_queue(number)
        self.ledger = ledger

    async def run(self, tasks):
        await self.connection.open()
        for _ in range(tasks):
            await self.submit()
            await self.succeed(await self.claim())
        self.connection.close()

    async def submit(self):
        path = f"/v1/queues/{self.queue}/tasks"
        answer = await self.connection.ask("POST", path, {"payload_text": "work"}, 201)
        self.ledger.submitted(answer["id"], self.queue)

    async def claim(self):
        # Each client has submitted as often as it claims, so there is one for each of them.
        path = f"/v1/queues/{self.queue}/claim?wait=30s&lease=10m"
        tasks = []
        while not tasks:
            tasks = (await self.connection.ask("POST", path))["tasks"]
        (task,) = tasks
        self.ledger.claimed(task["id"], task["attempt"])
        return task

    async def succeed(self, task):
        body = {"token": task["token"], "result_text": "done"}
        await self.connection.ask("POST", f"/v1/tasks/{task['id']}/succeed", body, 204)
        self.ledger.succeeded.add(task["id"])


# --- Readers that are slow ------------------------------------------------------------------------


class SlowReader:
    """A stream of all events whose reader takes little or nothing for a while, then the rest."""

    def __init__(self, server):
        self.server = server
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UNREAD_BYTES)
        self.socket.connect((server.host, server.port))
        self.socket.sendall(request_for(after=(0, 0)))
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]
        self.opened = time.monotonic()
        self.parser = EventParser()
        self.seen = []
        self.last = None
        self.is_kept = False
        self.is_silent = False  # neither ended nor told what there is

    async def part(self, bytes_max):
        """Whether there was something still."""
        try:
            data = await asyncio.get_running_loop().sock_recv(self.socket, bytes_max)
        except ConnectionResetError:
            return False
        self.seen += self.parser.feed(data)
        return bool(data) and not self.parser.is_whole

    async def take_little_then_all(self, seconds):
        await self.take_little(seconds)
        await self.take_rest()

    async def take_little(self, seconds):
        """Its pace is what is tested, not a wait for something."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await self.part(SLOW_PART_BYTES)
            await asyncio.sleep(SLOW_PAUSE_SECONDS)

    async def is_cut_off(self):
        """Returns the seconds that the server has kept it."""
        while self.server.holds(self.port):
            assert time.monotonic() < self.opened + PATIENCE, "a reader that reads nothing is kept"
            await asyncio.sleep(0.2)  # nothing tells when the other end is closed
        return time.monotonic() - self.opened

    async def take_rest(self):
        """All until the connection ends, or until the task `last` is submitted: it may have been
        quick enough to be kept."""
        try:
            while await asyncio.wait_for(self.part(65536), PATIENCE):
                if self.seen and self.seen[-1].task == self.last:
                    self.is_kept = True
                    break
        except TimeoutError:
            self.is_silent = True
        self.socket.close()

    def how_it_ended(self):
        if self.is_kept:
            return "all the others: it has not been ended"
        if self.is_silent:
            return "silence"
        if self.parser.reason is not None:
            return f"event: end ({self.parser.reason})"
        return "a whole answer without a reason" if self.parser.is_whole else "a cut"

    def goes_on(self):
        """A stream that resumes behind what it has seen."""
        return EventStream(self.server, after=self.seen[-1].position)


# --- What must hold -------------------------------------------------------------------------------


def check_order(test, events, who):
    for earlier, later in zip(events, events[1:]):
        test.assertLess(earlier.position, later.position, who)


def check_same(test, seen, expected, who):
    """Exactly these, said so that a failure can be read, and so that it does not hide the next."""
    if seen != expected:
        with test.subTest(who):
            fail_with_difference(test, seen, expected, who)


def fail_with_difference(test, seen, expected, who):
    extra = list((collections.Counter(seen) - collections.Counter(expected)).elements())
    had = set(seen)
    missing = [(place, event) for place, event in enumerate(expected) if event not in had]
    test.fail(
        f"{who}: {len(seen)} events, not {len(expected)}; {len(missing)} are missing, "
        f"from {missing[:1]} to {missing[-1:]}; {len(extra)} too many: {extra[:3]}"
    )


def story_of(events):
    """What happened to each task, in order."""
    stories = collections.defaultdict(list)
    for event in events:
        stories[event.task].append(event)
    return stories


class Streams(unittest.TestCase):
    def setUp(self):
        print(f"seed {OPTIONS.seed}: --seed {OPTIONS.seed} repeats it", flush=True)
        raise_file_limit()
        self.dice = random.Random(OPTIONS.seed)
        self.folder = tempfile.mkdtemp(prefix="jack-http-load-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.server = Server(pathlib.Path(OPTIONS.jack), self.folder)
        self.server.start()
        self.addCleanup(self.server.close)
        self.ledger = Ledger()

    def test_a_stream_that_begins_far_behind_sees_a_long_history(self):
        asyncio.run(self.long_history())

    async def long_history(self):
        self.desk = await Connection(self.server).open()
        batch = {"tasks": [{"queue": "long"}] * HISTORY_BATCH}
        tasks = []
        for _ in range(HISTORY_BATCHES):
            answer = await self.desk.ask("POST", "/v1/tasks", batch)
            tasks += [task["id"] for task in answer["tasks"]]
        for query in ["", "?queue=long"]:
            stream = EventStream(self.server, query, after=(0, 0))
            await self.sees(stream, tasks[-1], "a stream from the beginning")
            check_same(self, [event.task for event in stream.seen], tasks, f"history {query}")
            await stream.close()

    def test_every_stream_sees_all_that_it_is_to_see_once_and_in_order(self):
        asyncio.run(self.story())

    async def story(self):
        self.desk = await Connection(self.server).open()
        await self.open_idle_streams()
        await self.open_busy_streams()
        await self.work("without a reader that does not read", OPTIONS.tasks // 2)
        sleeper, dawdler = SlowReader(self.server), SlowReader(self.server)
        dawdling = asyncio.create_task(dawdler.take_little_then_all(SLOW_SECONDS))
        await self.work("with one", OPTIONS.tasks - OPTIONS.tasks // 2)
        await self.check_followers_of_tasks()

        cpu, began = self.server.cpu_seconds(), time.monotonic()
        print(f"a reader that does not read is cut off after {await sleeper.is_cut_off():.0f} s")
        await sleeper.take_rest()
        cpu, idle = self.server.cpu_seconds() - cpu, time.monotonic() - began
        print(f"meanwhile nothing happens: {100 * cpu / idle:.1f} % of a processor", flush=True)

        await self.fence_busy_streams()
        dawdler.last = self.last_mark
        await dawdling
        self.check_all_events()
        self.check_busy_streams()
        await self.check_slow_reader(sleeper, "the reader that did not read")
        await self.check_slow_reader(dawdler, "the reader that read little")
        await self.check_history()
        await self.wake_idle_streams()
        await self.close_streams()
        self.server.stop()

    # --- Streams ---

    def drop_after(self):
        return self.dice.randrange(1, 400)

    async def open_streams(self, streams):
        streams = list(streams)
        async with asyncio.timeout(PATIENCE):
            for stream in streams:
                await stream.has_begun.wait()
        return streams

    async def open_idle_streams(self):
        before = self.server.memory_bytes()
        self.quiet_tasks = [await self.submit("quiet-tasks") for _ in range(QUIET_TASKS)]
        queries = [f"?queue={quiet_queue(number)}" for number in range(OPTIONS.idle // 2)]
        for number in range(OPTIONS.idle - len(queries)):
            queries.append(f"?task={self.quiet_tasks[number % QUIET_TASKS]}")
        self.idle = await self.open_streams(EventStream(self.server, query) for query in queries)
        each = (self.server.memory_bytes() - before) / max(len(self.idle), 1)
        print(
            f"{len(self.idle)} idle streams: memory {before / 2**20:.1f} MiB before, "
            f"{self.server.memory_bytes() / 2**20:.1f} MiB with them, {each / 1024:.1f} KiB each"
        )
        self.assertLess(each, IDLE_STREAM_BYTES_MAX)

    async def open_busy_streams(self):
        self.begun_behind = await self.position()
        # A stream that is cut off before its first event has nothing to resume from, unless it is
        # given where it begins.
        dropping = {"after": self.begun_behind, "drop_after": self.drop_after}
        self.of_all = await self.open_streams(
            [EventStream(self.server) for _ in range(STEADY_STREAMS)]
            + [EventStream(self.server, **dropping) for _ in range(DROPPING_STREAMS)]
        )
        queues = [busy_queue(number) for number in range(BUSY_QUEUES)]
        self.of_queue = {queue: [EventStream(self.server, f"?queue={queue}")] for queue in queues}
        for queue in queues:
            self.of_queue[queue].append(EventStream(self.server, f"?queue={queue}", **dropping))
        await self.open_streams(sum(self.of_queue.values(), []))
        self.followed = {}

    async def position(self):
        """That of the last event there is."""
        task = await self.submit("marks")
        stream = EventStream(self.server, f"?task={task}", after=(0, 0))
        await stream.until(task, "submitted")
        await stream.close()
        return stream.seen[-1].position

    async def submit(self, queue):
        path = f"/v1/queues/{queue}/tasks"
        return (await self.desk.ask("POST", path, {"payload_text": ""}, 201))["id"]

    # --- Work ---

    async def work(self, how, tasks):
        """All clients, until they have done so many tasks."""
        cpu, began = self.server.cpu_seconds(), time.monotonic()
        clients = [Client(self.server, number, self.ledger) for number in range(OPTIONS.clients)]
        shares = [len(range(number, tasks, len(clients))) for number in range(len(clients))]
        follows = asyncio.create_task(self.follow_some_tasks())
        await asyncio.gather(*(client.run(share) for client, share in zip(clients, shares)))
        await follows
        seconds, cpu = time.monotonic() - began, self.server.cpu_seconds() - cpu
        print(
            f"{tasks} tasks, {how}: {seconds:.1f} s, {tasks / seconds:.0f} a second; "
            f"server: {cpu:.1f} s of processor time, {self.server.memory_bytes() / 2**20:.1f} MiB",
            flush=True,
        )

    async def follow_some_tasks(self):
        """Streams of single tasks that are run meanwhile."""
        connection = await Connection(self.server).open()
        for number in range(FOLLOWED_TASKS // 2):
            path = f"/v1/queues/followed-{number % 2}/tasks"
            task = (await connection.ask("POST", path, {"payload_text": ""}, 201))["id"]
            self.followed[task] = EventStream(self.server, f"?task={task}", after=(0, 0))
            path = f"/v1/queues/followed-{number % 2}/claim?wait=30s"
            (claimed,) = (await connection.ask("POST", path))["tasks"]
            path = f"/v1/tasks/{claimed['id']}/succeed"
            await connection.ask("POST", path, {"token": claimed["token"]}, 204)
        connection.close()

    # --- Checks ---

    async def check_followers_of_tasks(self):
        for task, stream in self.followed.items():
            async with asyncio.timeout(PATIENCE):
                await stream.until(task, "succeeded")
                await self.annotate(task, stream)
            kinds = [event.kind for event in stream.seen]
            self.assertEqual(kinds, ["submitted", "started", "succeeded", "annotated"], task)
            await stream.close()
        self.assertEqual(len(self.followed), FOLLOWED_TASKS)

    async def annotate(self, task, *streams):
        """A last event of the task: whatever came twice would have come before it."""
        await self.desk.ask("PATCH", f"/v1/tasks/{task}/annotations", {"seen": "yes"}, 204)
        for stream in streams:
            await stream.until(task, "annotated")

    async def fence_busy_streams(self):
        """A last event for each of them: whatever came late or twice would have come before it."""
        marks = {queue: await self.submit(queue) for queue in self.of_queue}
        self.last_mark = await self.submit("marks")
        for queue, streams in self.of_queue.items():
            for stream in streams:
                await self.sees(stream, marks[queue], f"a stream of {queue}")
        for stream in self.of_all:
            await self.sees(stream, self.last_mark, "a stream of all events")

    async def sees(self, stream, task, who):
        """Returns once it has seen that this was submitted. Where it does not, the test fails, and
        goes on to tell what else it has not seen."""
        try:
            async with asyncio.timeout(PATIENCE):
                await stream.until(task, "submitted")
        except TimeoutError:
            with self.subTest(who):
                self.fail(f"{who} has not come to the last event")

    def check_all_events(self):
        """The first stream of all events tells what the clients saw, neither more nor less."""
        self.events = self.of_all[0].seen
        check_order(self, self.events, "all events")
        stories = story_of(self.events)
        self.assertEqual(len(self.ledger.queue_of), OPTIONS.tasks)
        self.assertEqual(self.ledger.succeeded, set(self.ledger.queue_of))
        released = 0
        for task, queue in self.ledger.queue_of.items():
            self.assertEqual({event.queue for event in stories[task]}, {queue}, task)
            released += self.check_story(stories.pop(task), self.ledger.attempt_of[task])
        marks = {event.task for event in self.events if event.kind == "submitted"} & set(stories)
        self.assertEqual(len(marks), FOLLOWED_TASKS + BUSY_QUEUES + 1)
        self.assertEqual(set(stories), marks)
        print(f"{len(self.events)} events, {released} claims taken back")

    def check_story(self, events, attempt):
        """Submitted, started, succeeded. A claim that came too late is given back: its count."""
        kinds = [event.kind for event in events]
        given_back = kinds.count("released")
        story = ["submitted"] + ["started", "released"] * given_back + ["started", "succeeded"]
        self.assertEqual(kinds, story, events)
        self.assertEqual([event.attempt for event in events[-2:]], [attempt, attempt], events)
        return given_back

    def check_busy_streams(self):
        resumed = 0
        for stream in self.of_all:
            check_same(self, stream.seen, self.events, f"of all, resumed {stream.resumed} times")
            resumed += stream.resumed
        for queue, streams in self.of_queue.items():
            expected = [event for event in self.events if event.queue == queue]
            for stream in streams:
                check_same(self, stream.seen, expected, f"a stream of {queue}")
                resumed += stream.resumed
        self.assertGreater(resumed, 0)
        streams = len(self.of_all) + 2 * len(self.of_queue)
        print(f"{streams} busy streams have been compared, which resumed {resumed} times")

    async def check_slow_reader(self, reader, who):
        """However it was cut off, it can go on, with nothing missing and nothing twice."""
        with self.subTest(who):
            self.assertFalse(reader.is_silent, f"{who} is neither ended nor told the rest")
        self.assertFalse(reader.parser.is_whole and reader.parser.reason is None, who)
        self.assertGreater(len(reader.seen), 0, who)
        print(f"{who} gets {len(reader.seen)} events, then {reader.how_it_ended()}")
        rest = reader.goes_on()
        await self.sees(rest, self.last_mark, who)
        seen = reader.seen + rest.seen
        seen = [event for event in seen if event.position > self.begun_behind]
        check_same(self, seen, self.events, who)
        await rest.close()

    async def check_history(self):
        """Who comes last and asks from the beginning is told the same."""
        late = EventStream(self.server, after=self.begun_behind)
        await self.sees(late, self.last_mark, "a stream from the beginning")
        check_same(self, late.seen, self.events, "a stream from the beginning")
        await late.close()

    async def wake_idle_streams(self):
        """They have been told nothing all the time, and are told now."""
        self.assertEqual([stream.seen for stream in self.idle if stream.seen], [])
        expected = {}
        for number in range(QUIET_QUEUES):
            queue = quiet_queue(number)
            tasks = [await self.submit(queue) for _ in range(3)]
            expected[f"?queue={queue}"] = [(task, "submitted") for task in tasks]
        for task in self.quiet_tasks:
            await self.desk.ask("POST", f"/v1/tasks/{task}/cancel", status=204)
            await self.desk.ask("PATCH", f"/v1/tasks/{task}/annotations", {"a": "b"}, 204)
            expected[f"?task={task}"] = [(task, "cancelled"), (task, "annotated")]
        for stream in self.idle:
            async with asyncio.timeout(PATIENCE):
                await stream.until(*expected[stream.query][-1])
            seen = [(event.task, event.kind) for event in stream.seen]
            self.assertEqual(seen, expected[stream.query])

    async def close_streams(self):
        for stream in self.idle + self.of_all + sum(self.of_queue.values(), []):
            self.assertFalse(stream.running.done(), "a stream has ended by itself")
            await stream.close()


if __name__ == "__main__":
    unittest.main(argv=["streams_test.py"], verbosity=2)
