#!/usr/bin/python3
"""A worker in Python, written from docs/protocol.md alone.

    jack_worker.py [--data-dir DIR | --engine ENDPOINT] --queue NAME [--max N] [--lease MS]

It answers each task with its payload in capitals. Payloads that begin with a word of these do more:

    sleep SECONDS   works that long, with a line of output every 100 ms
    fail TEXT       fails, to be retried
    fatal TEXT      fails for good

A line on standard output tells of each thing that happens. It ends after N settled tasks, or on
SIGTERM, when it gives back what it has not finished.
"""

import argparse
import os
import pathlib
import random
import signal
import sys
import threading
import time

import msgpack
import zmq
from zmq.utils.monitor import recv_monitor_message

HELLO, WORK, SETTLE, OUTPUT, RESUME, PING, BYE = 1, 3, 4, 6, 8, 21, 22
WELCOME, REFUSED, DONE, DELIVER, ENDED, WHO = 64, 65, 66, 67, 68, 77
OK, LEASE_LOST, NOT_FOUND, FAILED_PRECONDITION = 0, 4, 2, 12
PASSING = {6, 7, 8, 14, 15, 18}  # queue_full … : the same may be asked again later
SUCCEEDED, FAILED, RELEASED = 1, 2, 3
SUBSCRIPTION = 1


def say(*words):
    print(*words, flush=True)


def default_data_dir():
    if folder := os.environ.get("JACK_DATA_DIR"):
        return folder
    if state := os.environ.get("XDG_STATE_HOME"):
        return state + "/jack"
    return os.path.expanduser("~/.local/state/jack")


def look_up(data_dir):
    """The endpoint of the engine with this data directory. This worker has no CURVE keys."""
    try:
        lines = pathlib.Path(data_dir, "engine").read_text().split("\n")
    except OSError:
        lines = []
    plain = [line for line in lines if line and not line.endswith(" curve")]
    files = [line for line in plain if line.startswith("ipc://")]
    return (files + plain + [f"ipc://{data_dir}/jack.sock"])[0]


class Held:
    """A lease, from its delivery until its settle is answered."""

    def __init__(self, token, task, lease, payload):
        self.token = token
        self.task = task
        self.lease = lease
        self.payload = payload
        self.stop = threading.Event()  # the lease is over
        self.over = False
        self.done = None               # [outcome, field, …] once the handler has returned
        self.output = bytearray()      # said and not sent; under the worker's lock
        self.sent_output = b""         # sent and not answered
        self.again = True              # its credit has not been given back yet
        self.settling = False
        self.speak_at = 0.0
        self.settle_at = 0.0


def handle(held, write):
    """What this worker does with a task. Returns the outcome and its fields, as in `settle`."""
    command, _, rest = held.payload.decode(errors="replace").partition(" ")
    if command == "fail":
        return [FAILED, rest, True, None]
    if command == "fatal":
        return [FAILED, rest, False, None]
    if command == "sleep":
        end = time.monotonic() + float(rest)
        while (left := end - time.monotonic()) > 0:
            write(f"{left:.1f} s to go\n".encode())
            if held.stop.wait(min(left, 0.1)):
                return [RELEASED, None]
    return [SUCCEEDED, held.payload.upper(), "text/plain", []]


class Worker:
    def __init__(self, options):
        self.options = options
        self.context = zmq.Context()
        self.socket = None
        self.monitor = None
        self.endpoint = None
        self.connected = False
        self.correlation = 0
        self.greeting = 0        # the hello without an answer
        self.greeted_at = 0.0
        self.pending = {}        # correlation: function that takes the items of the answer
        self.held = {}           # token: Held
        self.lease = 30_000
        self.last_sent = 0.0
        self.settled = 0
        self.credit = 0
        self.resumed = True
        self.resume_at = None
        self.stop_requested = False
        self.stopping = False
        self.lock = threading.Lock()

    # --- the socket ---------------------------------------------------------------------------

    def connect(self):
        endpoint = self.options.engine or look_up(self.options.data_dir)
        if endpoint == self.endpoint:
            return
        if self.socket is not None:
            self.socket.disable_monitor()
            self.socket.close()
        self.endpoint = endpoint
        self.socket = self.context.socket(zmq.DEALER)
        for option, value in [
            (zmq.IMMEDIATE, 1), (zmq.LINGER, 1000), (zmq.MAXMSGSIZE, 64 << 20),
            (zmq.RECONNECT_IVL, 100), (zmq.RECONNECT_IVL_MAX, 5000), (zmq.HANDSHAKE_IVL, 5000),
            (zmq.HEARTBEAT_IVL, 2000), (zmq.HEARTBEAT_TIMEOUT, 6000), (zmq.HEARTBEAT_TTL, 6000),
        ]:  # fmt: skip
            self.socket.setsockopt(option, value)
        self.monitor = self.socket.get_monitor_socket(
            zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
        )
        self.socket.connect(endpoint)

    def send(self, kind, *fields, answered_by=None):
        self.correlation += 1
        if answered_by is not None:
            self.pending[self.correlation] = answered_by
        self.last_sent = time.monotonic()
        try:
            self.socket.send(msgpack.packb([kind, self.correlation, *fields]), zmq.DONTWAIT)
        except zmq.Again:
            pass  # no connection: the next one repeats what has no answer
        return self.correlation

    def run(self):
        while not (self.stopping and not self.held and not self.pending):
            self.connect()
            poller = zmq.Poller()
            for socket in (self.socket, self.monitor):
                poller.register(socket, zmq.POLLIN)
            ready = dict(poller.poll(10))  # handlers are looked after as often
            if self.stop_requested and not self.stopping:
                self.stop()
            if self.monitor in ready:
                self.on_event(recv_monitor_message(self.monitor)["event"])
            if self.socket in ready:
                self.on_message(msgpack.unpackb(
                    self.socket.recv(), strict_map_key=False, unicode_errors="replace"))
            if self.connected:
                self.follow_up()
            elif self.stopping:
                break
        self.send(BYE)
        self.socket.disable_monitor()
        self.socket.close()
        say("bye", self.settled)

    # --- what came ----------------------------------------------------------------------------

    def on_event(self, event):
        self.connected = event == zmq.EVENT_HANDSHAKE_SUCCEEDED
        if self.connected:
            self.begin()

    def begin(self):
        """Sets up the session and says again what has no answer."""
        say("hello", self.endpoint)
        self.pending.clear()
        self.greeting = self.send(HELLO, 1, f"python-{os.getpid()}")
        self.greeted_at = time.monotonic()
        self.credit = 0 if self.stopping else self.room()
        self.send(WORK, SUBSCRIPTION, self.credit, self.options.lease, self.options.queue,
                  answered_by=self.on_work)
        for held in self.held.values():
            held.settling = False
            if held.done is not None or held.over:
                held.again = False  # the new credit counts it, or it is of no subscription now
        self.resume()

    def room(self):
        """How many more tasks this worker takes: it works on one at a time."""
        free = 1 - sum(held.done is None for held in self.held.values())
        if self.options.max:
            free = min(free, self.options.max - self.settled - len(self.held))
        return max(free, 0)

    def resume(self):
        self.resume_at = None
        held = [h for h in self.held.values() if not h.over]
        self.resumed = not held
        if not held:
            self.repeat_output()
            return

        def on_resume(items):
            self.resumed = True
            for lease, code in zip(held, items):
                if code in (LEASE_LOST, NOT_FOUND, FAILED_PRECONDITION):
                    say("lost", lease.token)
                    lease.again = False  # it is of no subscription
                    if lease.done is None:
                        self.end(lease)
                elif code in PASSING:
                    self.resume_at = time.monotonic() + 1
            self.repeat_output()

        self.send(RESUME, SUBSCRIPTION, [[h.task, h.token] for h in held], answered_by=on_resume)

    def repeat_output(self):
        for held in self.held.values():
            if held.sent_output and not held.over:
                self.send_output(held, held.sent_output)

    def more_credit(self, count):
        if count <= 0:
            return
        self.credit += count
        self.send(WORK, SUBSCRIPTION, count, self.options.lease, self.options.queue,
                  answered_by=self.on_work)

    def on_work(self, items):
        if items[0] != OK:
            sys.exit(f"the engine refuses this worker: code {items[0]}")

    def on_message(self, message):
        kind, correlation, *fields = message
        if kind == WHO and self.greeting == 0:
            self.begin()
        elif kind == WELCOME:
            self.greeting = 0
            self.lease = max(self.options.lease, 1000) if self.options.lease else fields[3]
        elif kind == REFUSED and correlation == self.greeting:
            sys.exit(f"the engine refuses this session: {fields[1]}")
        elif kind == REFUSED and (answer := self.pending.pop(correlation, None)):
            answer([fields[0]] * 1000)  # the same for all of its items
        elif kind == DONE and (answer := self.pending.pop(correlation, None)):
            answer([OK if isinstance(item, int) else item[0] for item in fields[0]])
        elif kind == DELIVER:
            for token, attempt, lease, spec in fields[1]:
                self.on_deliver(token, attempt, lease, spec)
        elif kind == ENDED:
            for _, token, outcome, reason in fields[0]:
                if token in self.held:
                    say("ended", token, outcome, reason)
                    self.end(self.held[token])

    def end(self, held):
        held.over = True
        held.stop.set()

    def on_deliver(self, token, attempt, lease, spec):
        if token in self.held:
            return
        task, _, payload, _ = msgpack.unpackb(spec, strict_map_key=False)
        say("attempt", attempt, payload.decode(errors="replace"))
        held = self.held[token] = Held(token, task, lease, payload)
        self.credit -= 1
        self.lease = min(self.lease, lease)
        if self.stopping:
            held.done = [RELEASED, None]
            held.again = False
            return
        threading.Thread(target=self.run_handler, args=(held,), daemon=True).start()

    def run_handler(self, held):
        def write(data):
            with self.lock:
                held.output += data

        try:
            done = handle(held, write)
        except Exception as error:  # whatever a handler raises is a failed attempt
            done = [FAILED, str(error), True, None]
        with self.lock:
            held.done = done

    # --- what follows -------------------------------------------------------------------------

    def follow_up(self):
        now = time.monotonic()
        if self.greeting and now > self.greeted_at + 5:
            self.begin()
        if self.resume_at and now > self.resume_at:
            self.resume()
        if self.resumed:
            for held in list(self.held.values()):
                self.speak(held, now)
                self.settle(held, now)
        if now > self.last_sent + self.lease / 3000:
            self.send(PING)
        if self.options.max and self.settled >= self.options.max and not self.stopping:
            self.stop()

    def speak(self, held, now):
        with self.lock:
            if held.over or held.sent_output or not held.output or now < held.speak_at:
                return
            data = bytes(held.output[: 256 << 10])
            del held.output[: len(data)]
        self.send_output(held, data)

    def send_output(self, held, data):
        held.sent_output = data

        def on_output(items):
            if items[0] in PASSING:  # what is sent next begins with it
                with self.lock:
                    held.output[:0] = held.sent_output
                held.speak_at = time.monotonic() + random.uniform(0.1, 0.5)
            held.sent_output = b""

        self.send(OUTPUT, [[held.task, held.token, data]], answered_by=on_output)

    def settle(self, held, now):
        with self.lock:
            unsaid = held.output or held.sent_output
        if held.done is None or held.settling or now < held.settle_at:
            return
        if unsaid and not held.over:
            return
        done = [RELEASED, None] if held.over else held.done
        again = held.again and not self.stopping and self.credit < self.room()
        held.settling = True
        held.again = False
        self.credit += again

        def on_settle(items):
            code = items[0]
            held.settling = False
            if code == OK or code in (LEASE_LOST, NOT_FOUND, FAILED_PRECONDITION):
                del self.held[held.token]
                self.settled += code == OK
                say("settled", done[0], code)
            elif code in PASSING:
                held.settle_at = time.monotonic() + random.uniform(0.1, 0.5)
            elif held.done[0] == FAILED:
                del self.held[held.token]  # nothing is left to say: the lease runs out
            else:
                held.done = [FAILED, f"refused with code {code}", False, None]

        self.send(SETTLE, [[held.task, held.token, done[0], again, *done[1:]]], answered_by=on_settle)
        if not self.stopping:  # where this settle may not give it back
            self.more_credit(self.room() - self.credit)

    def stop(self):
        """Takes the credit back, and gives back what is not finished."""
        self.stopping = True
        if self.connected and self.credit > 0:
            self.send(WORK, SUBSCRIPTION, -self.credit, self.options.lease, self.options.queue,
                      answered_by=self.on_work)
        self.credit = 0
        for held in self.held.values():
            held.stop.set()


def main():
    parser = argparse.ArgumentParser(description="A worker that answers in capitals.")
    parser.add_argument("--engine", help="its endpoint")
    parser.add_argument("--data-dir", default=default_data_dir())
    parser.add_argument("--queue", action="append", required=True)
    parser.add_argument("--max", type=int, default=0, help="tasks to settle; 0: no bound")
    parser.add_argument("--lease", type=int, default=0, help="milliseconds; 0: the engine's")
    worker = Worker(parser.parse_args())
    signal.signal(signal.SIGTERM, lambda *_: setattr(worker, "stop_requested", True))
    worker.run()


if __name__ == "__main__":
    main()
