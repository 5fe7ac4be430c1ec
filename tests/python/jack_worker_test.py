#!/usr/bin/python3
"""jack_worker.py against an engine that says what the test tells it to."""

import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

import msgpack
import zmq

WORKER = pathlib.Path(__file__).with_name("jack_worker.py")
SOON_MS = 20_000
HELLO, WORK, SETTLE, OUTPUT, RESUME, PING, BYE = 1, 3, 4, 6, 8, 21, 22
WELCOME, DONE, DELIVER, ENDED, PONG, WHO = 64, 66, 67, 68, 76, 77


def task_id(number):
    return uuid.UUID(int=0x0190D4C2_7B1E_7C3A_9F00_000000000000 + number).bytes


class FakeEngine:
    def __init__(self, folder):
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.bind(f"ipc://{folder}/jack.sock")
        self.peer = None
        self.pings = 0

    def close(self):
        self.context.destroy()

    def say(self, *message):
        self.socket.send_multipart([self.peer, msgpack.packb(message)])

    def take(self, wanted, past=PING):
        """The fields of the next message, which must be `wanted`; pings and `past` are answered."""
        while self.socket.poll(SOON_MS):
            self.peer, frame = self.socket.recv_multipart()
            kind, correlation, *fields = msgpack.unpackb(frame, strict_map_key=False)
            if kind == PING:
                self.pings += 1
                self.say(PONG, correlation, False)
                continue
            if kind == past:
                self.say(DONE, correlation, [0])
                continue
            assert kind == wanted, f"message {kind} came instead of {wanted}"
            return correlation, fields
        raise AssertionError(f"no message {wanted} came")

    def take_ping(self):
        assert self.socket.poll(SOON_MS), "no ping came"
        self.peer, frame = self.socket.recv_multipart()
        kind, correlation = msgpack.unpackb(frame)
        assert kind == PING, f"message {kind} came instead of a ping"
        self.pings += 1
        self.say(PONG, correlation, False)

    def welcome(self):
        correlation, (version, _) = self.take(HELLO)
        assert version == 1
        self.say(WELCOME, correlation, 1, b"e" * 16, b"i" * 16, 30_000, 1 << 20, 1 << 20)
        correlation, (_, credit, _, queues) = self.take(WORK)
        assert queues == ["q"]
        self.say(DONE, correlation, [0])
        return credit

    def deliver(self, token, payload, lease=30_000):
        spec = msgpack.packb([task_id(token), "q", payload, {3: 2}])
        self.say(DELIVER, 0, 1, [[token, 1, lease, spec]])

    def settle(self, answer=0, past=PING):
        correlation, (items,) = self.take(SETTLE, past)
        self.say(DONE, correlation, [answer])
        (item,) = items
        return item

    def resume(self, answer=0):
        correlation, (_, items) = self.take(RESUME)
        self.say(DONE, correlation, [answer for _ in items])
        return [token for _, token in items]


class WorkerTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.engine = FakeEngine(self.folder)
        self.addCleanup(lambda: self.engine.close())

    def start(self, *options):
        command = [sys.executable, WORKER, "--data-dir", self.folder, "--queue", "q", *options]
        self.worker = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.addCleanup(self.worker.wait)
        self.addCleanup(self.worker.kill)  # comes first

    def end(self):
        self.engine.take(BYE)
        self.assertEqual(self.worker.wait(SOON_MS / 1000), 0)

    def test_tasks_are_settled_and_the_credit_kept_up(self):
        self.start("--max", "3")
        self.assertEqual(self.engine.welcome(), 1)
        for token, payload, again, fields in [
            (1, b"hi", True, [1, True, b"HI", "text/plain", []]),
            (2, b"fail oh", True, [2, True, "oh", True, None]),
            (3, b"fatal no", False, [2, False, "no", False, None]),
        ]:
            self.engine.deliver(token, payload)
            item = self.engine.settle()
            self.assertEqual(item, [task_id(token), token, *fields])
            self.assertEqual(item[3], again)
        self.end()

    def test_output_comes_before_the_settle_with_signs_of_life(self):
        self.start("--max", "1")
        self.engine.welcome()
        self.engine.deliver(7, b"sleep 0.5", lease=300)
        lines = b""
        while lines.count(b"\n") < 5:
            correlation, (items,) = self.engine.take(OUTPUT)
            lines += items[0][2]
            self.engine.say(DONE, correlation, [0])
        self.assertEqual(self.engine.settle()[2], 1)
        self.end()

    def test_an_engine_that_does_not_know_the_worker_gets_everything_again(self):
        self.start("--max", "1")
        self.engine.welcome()
        self.engine.deliver(7, b"hi")
        correlation, _ = self.engine.take(SETTLE)
        self.engine.say(WHO, correlation)
        self.assertEqual(self.engine.welcome(), 0)
        self.assertEqual(self.engine.resume(), [7])
        item = self.engine.settle()
        self.assertEqual(item[3:5], [False, b"HI"])
        self.end()

    def test_a_running_task_outlives_a_restart_of_the_engine(self):
        self.start()
        self.engine.welcome()
        self.engine.deliver(7, b"sleep 1")
        self.engine.take(OUTPUT)
        self.engine.close()
        self.engine = FakeEngine(self.folder)
        self.assertEqual(self.engine.welcome(), 0)
        self.assertEqual(self.engine.resume(), [7])
        item = self.engine.settle(past=OUTPUT)  # what had no answer, and what came since
        self.assertEqual(item[2:5], [1, True, b"SLEEP 1"])

    def test_a_lease_that_ends_ends_the_work(self):
        self.start()
        self.engine.welcome()
        self.engine.deliver(7, b"sleep 60")
        correlation, _ = self.engine.take(OUTPUT)
        self.engine.say(ENDED, 0, [[task_id(7), 7, 6, "cancelled"]])
        item = self.engine.settle([4, "ended"])
        self.assertEqual(item[2:], [3, True, None])

    # It said `again` for a lease that its session knew nothing of, counted a credit that the engine
    # did not, and heard of no task any more.
    def test_a_lease_that_cannot_be_resumed_gives_no_credit_back(self):
        self.start()
        self.engine.welcome()
        self.engine.deliver(7, b"sleep 60")
        self.engine.take(OUTPUT)
        self.engine.close()
        self.engine = FakeEngine(self.folder)
        self.assertEqual(self.engine.welcome(), 0)
        self.assertEqual(self.engine.resume([4, "lost"]), [7])
        item = self.engine.settle([4, "lost"], past=OUTPUT)
        self.assertEqual(item[2:], [3, False, None])
        self.take_more_work()

    def test_a_lease_that_ended_before_a_reconnect_gives_no_credit_back(self):
        self.start()
        self.engine.welcome()
        self.engine.deliver(7, b"sleep 60")
        self.engine.take(OUTPUT)
        self.engine.say(ENDED, 0, [[task_id(7), 7, 6, "cancelled"]])
        correlation, (items,) = self.engine.take(SETTLE)
        self.assertEqual(items[0][2:], [3, True, None])
        self.engine.close()
        self.engine = FakeEngine(self.folder)
        self.assertEqual(self.engine.welcome(), 1)
        item = self.engine.settle([4, "ended"])
        self.assertEqual(item[2:], [3, False, None])
        self.engine.deliver(8, b"hi")
        self.assertEqual(self.engine.settle()[2:5], [1, True, b"HI"])

    def take_more_work(self):
        correlation, (_, credit, _, _) = self.engine.take(WORK)
        self.assertEqual(credit, 1)
        self.engine.say(DONE, correlation, [0])
        self.engine.deliver(8, b"hi")
        self.assertEqual(self.engine.settle()[2:5], [1, True, b"HI"])

    def test_output_that_is_refused_for_now_comes_before_the_settle(self):
        self.start("--max", "1")
        self.engine.welcome()
        self.engine.deliver(7, b"sleep 0.05")
        correlation, (items,) = self.engine.take(OUTPUT)
        first = items[0][2]
        self.engine.say(DONE, correlation, [[7, "storage_full"]])
        correlation, (items,) = self.engine.take(OUTPUT)
        self.assertEqual(items[0][2][:len(first)], first)
        self.engine.say(DONE, correlation, [0])
        self.assertEqual(self.engine.settle(past=OUTPUT)[2], 1)
        self.end()

    def test_signs_of_life_of_an_idle_worker_come_in_time_for_its_own_lease(self):
        self.start("--lease", "1000")
        self.engine.welcome()
        begin = time.monotonic()
        while self.engine.pings < 2:
            self.engine.take_ping()
        self.assertLess(time.monotonic() - begin, 5)

    def test_sigterm_gives_back_what_is_not_finished(self):
        self.start()
        self.engine.welcome()
        self.engine.deliver(7, b"sleep 60")
        correlation, _ = self.engine.take(OUTPUT)
        self.engine.say(DONE, correlation, [0])
        self.worker.send_signal(signal.SIGTERM)
        item = self.engine.settle(past=OUTPUT)
        self.assertEqual(item[2:], [3, False, None])
        self.end()


if __name__ == "__main__":
    unittest.main()
