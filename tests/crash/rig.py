"""What the crash tests share: engines that are started and killed, a client that speaks jack/1 as
docs/protocol.md has it, and an auditor that knows only what clients saw.

Nothing here waits by sleeping. A test waits for a line, a message, the end of a process or a Gate,
each with a deadline.
"""

import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

import msgpack
import zmq

# Longer than anything takes on a machine that is busy with other things. Only a test that fails
# waits as long.
PATIENCE = 60

JACK = pathlib.Path(sys.argv[1]).resolve()
# What else the test was given by tests/meson.build: a preloaded library, a helper program.
EXTRAS = [pathlib.Path(path).resolve() for path in sys.argv[2:]]

HELLO, SUBMIT, WORK, SETTLE, EXTEND, OUTPUT, PROGRESS, RESUME, GET, WAIT, LIST = range(1, 12)
INFO, PING, BYE = 20, 21, 22
WELCOME, REFUSED, DONE, DELIVER, ENDED, RESULT, TASK, PAGE = range(64, 72)
ENGINE_INFO, PONG, WHO = 75, 76, 77

OK, KNOWN = 0, 1  # an item that went well is one of these, any other item is a list
LEASE_LOST, STORAGE_FULL, CORRUPTION = 4, 7, 16
# Refusals that pass: the request may be repeated.
PASSING = {6, 7, 8, 14, 15, 18}

SCHEDULED, QUEUED, RUNNING, SUCCEEDED, FAILED = 1, 2, 3, 4, 5
OUTCOME_SUCCEEDED, OUTCOME_FAILED, OUTCOME_RELEASED, OUTCOME_LOST = 1, 2, 3, 4

MAX_ATTEMPTS, BACKOFF = 9, 10  # fields of a spec


def main():
    """To be called by each file of tests."""
    unittest.main(argv=sys.argv[:1], verbosity=2)


def deadline(seconds=PATIENCE):
    return time.monotonic() + seconds


def left(end):
    return max(end - time.monotonic(), 0)


# --- Processes ------------------------------------------------------------------------------------


def environment_for(folder, **variables):
    """An environment in which commands find the engine of this data directory, and no other."""
    clean = {name: text for name, text in os.environ.items() if not name.startswith("JACK_")}
    clean["JACK_DATA_DIR"] = str(folder)
    clean["PATH"] = f"{JACK.parent}:{clean['PATH']}"
    return clean | {name: str(text) for name, text in variables.items()}


def read_line(stream, end):
    """A line of a pipe, or what there is of it at its end or the deadline."""
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([stream], [], [], left(end))[0]:
            break
        byte = os.read(stream.fileno(), 1)
        if not byte:
            break
        line += byte
    return line


class Engine:
    """A `jack serve` of one data directory. Its log goes to a file, appended over restarts."""

    def __init__(self, data_dir, *flags):
        self.data_dir = pathlib.Path(data_dir)
        self.flags = flags
        self.log = self.data_dir.parent / f"{self.data_dir.name}.log"
        self.process = None
        self.seconds = 0.0  # from its start until it was ready
        self.endpoint = None

    def begin(self, **variables):
        """Starts it, and does not wait until it is ready."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(JACK), "serve", *self.flags],
                cwd=self.data_dir.parent,
                env=environment_for(self.data_dir, **variables),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip

    def start(self, **variables):
        """True once it accepts work, False if it has ended before."""
        began = time.monotonic()
        self.begin(**variables)
        line = read_line(self.process.stdout, deadline()).decode()
        self.seconds = time.monotonic() - began
        if " is ready at " not in line:
            if self.process.poll() is None and not self.ends(5):
                raise AssertionError(f"neither ready nor ended after {self.seconds:.1f} s: {self.said()}")
            self.process.stdout.close()
            return False
        self.endpoint = line.split(" is ready at ")[1].split()[0]
        return True

    def ends(self, seconds=PATIENCE):
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self):
        self.process.kill()
        self.gone()

    def gone(self):
        """Its status, once it has ended."""
        status = self.process.wait(PATIENCE)
        self.process.stdout.close()
        return status

    def stop(self):
        """Asks it to stop. Its status."""
        self.process.send_signal(signal.SIGTERM)
        return self.gone()

    def said(self, bytes_max=4000):
        """The end of its log."""
        return self.log.read_bytes()[-bytes_max:].decode(errors="replace")


class Gate:
    """A named pipe: commands write to it with `echo x > PATH`, tests wait until they do."""

    def __init__(self, path):
        self.path = str(path)
        os.mkfifo(path)
        # Open both ways, so that nobody blocks in opening it and the end never closes.
        self.pipe = open(os.open(path, os.O_RDWR), "r+b", buffering=0)

    def wait(self, seconds=PATIENCE):
        """The next line that was written."""
        line = read_line(self.pipe, deadline(seconds))
        if not line.endswith(b"\n"):
            raise AssertionError(f"nobody came to {self.path}")
        return line.decode().strip()

    def open(self, times=1):
        """Lets commands go on that wait with `read line < PATH`."""
        self.pipe.write(b"go\n" * times)

    def close(self):
        self.pipe.close()


class CrashTest(unittest.TestCase):
    """A test with a folder of its own, which ends what it has started."""

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="jack-crash-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.data_dir = self.folder / "data"
        self.processes = []
        self.addCleanup(self.end_processes)
        self.context = zmq.Context()
        self.addCleanup(self.context.destroy, linger=0)

    def end_processes(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()

    def engine(self, *flags, data_dir=None):
        """An engine that is not started yet."""
        engine = Engine(data_dir or self.data_dir, *flags)
        self.addCleanup(lambda: engine.process and engine.process.poll() is None and engine.kill())
        return engine

    def serve(self, *flags, **options):
        """An engine that accepts work."""
        engine = self.engine(*flags, **options)
        self.restart(engine)
        return engine

    def restart(self, engine):
        if not engine.start():
            self.fail(f"the engine ended with {engine.process.returncode}: {engine.said()}")

    def peer(self, engine, name="peer"):
        peer = Peer(self.context, engine.endpoint, name)
        self.addCleanup(peer.close)
        return peer

    def gate(self, name):
        gate = Gate(self.folder / name)
        self.addCleanup(gate.close)
        return gate

    def begin(self, *arguments, **options):
        """A command of the program in the background."""
        options.setdefault("stdout", subprocess.DEVNULL)
        options.setdefault("stderr", subprocess.DEVNULL)
        process = subprocess.Popen(
            [str(JACK), *map(str, arguments)],
            cwd=self.folder, env=environment_for(self.data_dir), stdin=subprocess.DEVNULL, **options,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def run_jack(self, *arguments, data_dir=None):
        """A command of the program to its end, whatever its status."""
        return subprocess.run(
            [str(JACK), *map(str, arguments)],
            cwd=self.folder, env=environment_for(data_dir or self.data_dir), timeout=PATIENCE,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
        )  # fmt: skip

    def jack(self, *arguments, status=0, **options):
        """The standard output of a command that ends with this status."""
        ended = self.run_jack(*arguments, **options)
        self.assertEqual(ended.returncode, status, f"{arguments}: {ended.stderr.decode()}")
        return ended.stdout.decode()

    def show(self, task):
        return json.loads(self.jack("show", task, "--json"))

    def outcomes(self, task):
        return [attempt["outcome"] for attempt in self.show(task)["attempts"]]

    def wait(self, task):
        """The state of a task once it has ended."""
        self.run_jack("result", task, "--wait-timeout", f"{PATIENCE - 5}s")
        return self.show(task)["state"]

    def doctor(self, data_dir=None):
        """Its status, and what it found: {name: text or problem}."""
        ended = self.run_jack("doctor", "--json", data_dir=data_dir)
        findings = {}
        for each in json.loads(ended.stdout)["findings"] if ended.stdout else []:
            findings[each["name"]] = each.get("text") or each.get("problem")
        return ended.returncode, findings


# --- The protocol ---------------------------------------------------------------------------------


def new_id():
    """A UUID of version 7."""
    random = int.from_bytes(os.urandom(10), "big")
    value = int(time.time() * 1000) << 80 | 7 << 76 | (random >> 68 & 0xFFF) << 64
    return (value | 2 << 62 | random & (1 << 62) - 1).to_bytes(16, "big")


def text_of(task):
    return str(uuid.UUID(bytes=task))


def id_of(text):
    return uuid.UUID(text).bytes


def spec(task, queue, payload, fields=None):
    return msgpack.packb([task, queue, payload, fields or {}])


def unpack(data):
    return msgpack.unpackb(data, strict_map_key=False, unicode_errors="replace")


class Refused(Exception):
    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code = code


class Peer:
    """A session with an engine. What it says before the engine is there waits for it."""

    def __init__(self, context, endpoint, name):
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(endpoint)
        self.correlation = 0
        self.said_at = 0.0
        self.name = name
        self.others = []  # messages that came while an answer was waited for
        self.send(HELLO, 1, name)

    def close(self):
        self.socket.close()

    def send(self, kind, *fields):
        self.correlation += 1
        self.said_at = time.monotonic()
        self.socket.send(msgpack.packb([kind, self.correlation, *fields]), zmq.DONTWAIT)
        return self.correlation

    def receive(self, seconds=0.0):
        """The next message, or None if none comes in this time."""
        if self.others:
            return self.others.pop(0)
        if not self.socket.poll(seconds * 1000):
            return None
        return unpack(self.socket.recv())

    def call(self, kind, *fields, seconds=PATIENCE):
        """The fields of the answer. What comes before it is kept for receive()."""
        correlation = self.send(kind, *fields)
        end = deadline(seconds)
        while self.socket.poll(left(end) * 1000):
            message = unpack(self.socket.recv())
            if message[0] == WHO:  # forgotten after a silence
                self.send(HELLO, 1, self.name)
                correlation = self.send(kind, *fields)
            elif message[1] == correlation:
                if message[0] == REFUSED:
                    raise Refused(*message[2:4])
                return message[2:]
            if message[0] != WELCOME:
                self.others.append(message)
        raise AssertionError(f"request {kind} has no answer after {seconds} s")

    def items(self, kind, *fields):
        """The codes in the answer to a request about several tasks."""
        return [item if isinstance(item, int) else item[0] for item in self.call(kind, *fields)[0]]

    def claim(self, queue, count=1, lease_ms=0):
        """As many attempts, each [id, token, attempt]. Its subscription is 1."""
        self.call(WORK, 1, count, lease_ms, [queue])
        claimed = []
        end = deadline()
        while len(claimed) < count:
            message = self.receive(left(end))
            assert message is not None, f"{len(claimed)} of {count} tasks came"
            if message[0] == DELIVER:
                claimed += [[unpack(item[3])[0], item[0], item[1]] for item in message[3]]
        return claimed

    def succeed(self, task, token, result):
        """The code of a settle."""
        return self.items(SETTLE, [[task, token, OUTCOME_SUCCEEDED, False, result, "", []]])[0]

    def books(self, queue=None):
        """All tasks: {id: (spec, status)}, as they are told page by page."""
        tasks = {}
        filters = {"count": 1000} | ({"queue": queue} if queue else {})
        while True:
            page, more, _ = self.call(LIST, filters)[:3]
            for spec_bytes, status in page:
                fields = unpack(spec_bytes)
                tasks[fields[0]] = (fields, Status(unpack(status)))
            if not more:
                return tasks
            filters["before"] = unpack(page[-1][0])[0]

    def result(self, task):
        """(state, result, error) of a task that has ended."""
        answer = self.call(WAIT, task, 0)
        return answer[1], answer[2], answer[4]


class Status:
    """What has happened to a task."""

    def __init__(self, fields):
        self.fields = fields
        self.state, self.serial, self.attempt, self.cycle, self.token = fields[:5]
        self.error = fields[12]
        self.attempts = fields[13]


# --- The auditor ----------------------------------------------------------------------------------


class Task:
    """A task, as its clients know it."""

    def __init__(self, task, spec_bytes, parent=None):
        self.id = task
        self.spec = spec_bytes
        self.parent = parent          # (id, token) of the success that submits it
        self.accepted = False         # a client was told so
        self.token = 0                # of the last delivery
        self.attempt = 0
        self.settles = {}             # token: Settle
        self.ended = None             # the settle that was acknowledged as its end


class Settle:
    def __init__(self, outcome, text, for_good=False, children=()):
        self.outcome = outcome
        self.text = text              # result or error
        self.for_good = for_good
        self.children = children      # ids of the tasks that a success submits
        self.code = None              # None: nobody knows yet

    def ends_task(self):
        return self.outcome == OUTCOME_SUCCEEDED or self.for_good


class Auditor:
    """Hears of each request before it is sent and of each answer, and compares that with the books.

    Violations are collected rather than raised, so that a report is whole.
    """

    def __init__(self):
        self.tasks = {}
        self.violations = []
        self.unfinished = 0           # tasks whose end was not acknowledged yet
        self.acknowledged = 0
        self.recovered = 0            # repeats of unknown fate that the engine knew already
        self.lost = 0
        self.unexpected = 0
        self.duplicated = 0
        self.settled = 0
        self.deliveries = 0

    def complain(self, task, text):
        self.violations.append(f"{text_of(task)}: {text}")

    def submits(self, task, spec_bytes, parent=None):
        if task not in self.tasks:
            self.tasks[task] = Task(task, spec_bytes, parent)
            self.unfinished += parent is None

    def submitted(self, task, code, repeated):
        known = self.tasks[task]
        if code not in (OK, KNOWN):
            if code not in PASSING:
                self.complain(task, f"its submit was refused with {code}")
            return
        if code == KNOWN and not repeated:
            self.complain(task, "known before it was submitted")
        self.recovered += code == KNOWN and not known.accepted
        self.acknowledged += not known.accepted
        known.accepted = True

    def delivered(self, task, token, attempt, spec_bytes):
        self.deliveries += 1
        known = self.tasks.get(task)
        if known is None:
            self.unexpected += 1
            self.complain(task, "delivered, but nobody has submitted it")
            return
        if unpack(spec_bytes)[:3] != unpack(known.spec)[:3]:
            self.complain(task, "delivered with another spec")
        if known.ended:
            self.complain(task, f"delivered under {token} after its end was acknowledged")
        if token <= known.token:
            self.complain(task, f"token {token} after {known.token}")
        last = known.settles.get(known.token)
        released = last is not None and last.outcome == OUTCOME_RELEASED and last.code in (None, OK, KNOWN)
        if attempt < known.attempt or (attempt == known.attempt and not released):
            self.complain(task, f"attempt {attempt} after {known.attempt}")
        known.token, known.attempt = token, attempt

    def settles(self, task, token, settle):
        return self.tasks[task].settles.setdefault(token, settle)

    def answered(self, task, token, code):
        """Where it is the first word on a settle, or the same word again, all is well."""
        known = self.tasks[task]
        settle = known.settles[token]
        if code in PASSING:
            return
        if code not in (OK, KNOWN, LEASE_LOST):
            self.complain(task, f"its settle under {token} was refused with {code}")
        won = code in (OK, KNOWN)
        if settle.code is not None:
            if won != (settle.code in (OK, KNOWN)):
                self.complain(task, f"settle under {token} answered {settle.code}, and then {code}")
            return
        settle.code = code
        self.settled += won
        if not won or not settle.ends_task():
            return
        if known.ended is not None:
            self.duplicated += 1
            self.complain(task, f"ended twice, the second time under {token}")
        elif token < known.token:
            self.complain(task, f"ended under {token}, after {known.token} was delivered")
        known.ended = settle
        self.unfinished -= known.accepted or known.parent is None
        for child in settle.children:
            self.tasks[child].accepted = True
            self.acknowledged += 1
            self.unfinished += self.tasks[child].ended is None

    def compare(self, books, result_of):
        """Holds the books of an engine on which all has ended against what was seen."""
        for task in books.keys() - self.tasks.keys():
            self.unexpected += 1
            self.complain(task, "in the books, but nobody has submitted it")
        for task in self.tasks.values():
            if task.id in books:
                self.compare_task(task, *books[task.id], result_of)
            elif task.accepted:
                self.lost += 1
                self.complain(task.id, "acknowledged and lost")

    def compare_task(self, task, fields, status, result_of):
        if fields[1] != unpack(task.spec)[1] or fields[3] != unpack(task.spec)[3]:
            self.complain(task.id, "kept with another spec")
        if status.state not in (SUCCEEDED, FAILED):
            self.complain(task.id, f"in state {status.state} at the end")
            return
        if status.token < task.token or status.attempt < task.attempt:
            self.complain(task.id, f"token {status.token} and attempt {status.attempt} in the books, "
                                   f"{task.token} and {task.attempt} were delivered")
        if task.parent is not None:
            parent = self.tasks[task.parent[0]]
            if parent.ended is not parent.settles[task.parent[1]]:
                self.complain(task.id, "is there, and the success that it belongs to is not")
        if task.ended is None:
            self.complain(task.id, "has ended, and nobody was told so")
            return
        if task.settles.get(status.token) is not task.ended:
            self.complain(task.id, f"ended under {status.token}, another settle was acknowledged")
        state, result, error = result_of(task.id)
        expected = SUCCEEDED if task.ended.outcome == OUTCOME_SUCCEEDED else FAILED
        text = result if state == SUCCEEDED else error.encode()
        if state != status.state or state != expected or text != task.ended.text:
            self.complain(task.id, f"is {state} with {text!r}, acknowledged was {expected} with "
                                   f"{task.ended.text!r}")

    def report(self):
        return (f"acknowledged {self.acknowledged}, lost {self.lost}, unexpected {self.unexpected}, "
                f"duplicated {self.duplicated}, recovered {self.recovered}; "
                f"{self.deliveries} deliveries, {self.settled} settles")
