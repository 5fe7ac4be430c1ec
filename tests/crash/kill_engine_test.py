#!/usr/bin/python3
"""An engine that is killed again and again under load keeps what it has acknowledged.

    kill_engine_test.py JACK CRASH_AT_WRITE

Half of the kills come at a random moment, half at a random write to a file, some of these while the
engine is starting. Clients repeat what has no answer, workers come back or forget what they held.
"""

import os
import random
import statistics
import time

import zmq

import rig

KILLS = int(os.environ.get("JACK_KILLS", "200"))
SEED = int(os.environ.get("JACK_SEED", random.SystemRandom().randrange(1 << 32)))

READY_SECONDS_MAX = 2.0
UNFINISHED_MAX = 300
LEASE_MS = 2000
QUEUES = ["audit", "build"]
# Lost attempts are not what this test is about; no task is to fail by them.
FIELDS = {rig.MAX_ATTEMPTS: 1000, rig.BACKOFF: [1, 1000, 1, 0]}


class Submitter:
    """Submits single tasks and batches, up to three requests at a time."""

    def __init__(self, auditor, dice):
        self.auditor, self.dice = auditor, dice
        self.peer = None
        self.under_way = {}  # correlation: specs
        self.again = []      # requests whose fate is unknown, each its specs

    def attach(self, peer):
        self.peer = peer
        self.again += self.under_way.values()
        self.under_way = {}
        for specs in self.again:
            self.send(specs)

    def send(self, specs):
        self.under_way[self.peer.send(rig.SUBMIT, [each[1] for each in specs])] = specs

    def turn(self):
        """Submits something new."""
        if len(self.under_way) > 2 or self.auditor.unfinished > UNFINISHED_MAX:
            return
        specs = []
        for _ in range(self.dice.choice([1, 1, 3, 20])):
            task = rig.new_id()
            payload = task + self.dice.randbytes(self.dice.choice([0, 10, 250, 250, 4000]))
            specs.append((task, rig.spec(task, self.dice.choice(QUEUES), payload, FIELDS)))
        for task, bytes_ in specs:
            self.auditor.submits(task, bytes_)
        self.send(specs)

    def on_message(self, message):
        specs = self.under_way.pop(message[1], None)
        if specs is None:
            return
        repeated = specs in self.again
        refused = message[0] == rig.REFUSED
        codes = [message[2]] * len(specs) if refused else code_list(message[2])
        for (task, _), code in zip(specs, codes, strict=True):
            self.auditor.submitted(task, code, repeated)
        if repeated:
            self.again.remove(specs)
        if any(code in rig.PASSING for code in codes):
            self.again.append(specs)
            self.send(specs)


def code_list(items):
    return [item if isinstance(item, int) else item[0] for item in items]


class Worker:
    """Takes up to 16 tasks at a time and settles them in different ways, some of them later."""

    PLACES = 16

    def __init__(self, auditor, dice):
        self.auditor, self.dice = auditor, dice
        self.peer = None
        self.drains = False   # everything succeeds
        self.held = {}        # token: task, not settled yet
        self.settling = {}    # token: (task, fields of the settle)
        self.asked = {}       # correlation: tokens of a settle
        self.resumed = None   # correlation of a resume, tokens

    def attach(self, peer):
        self.peer = peer
        self.asked = {}
        if self.dice.random() < 0.1:
            self.held = {}    # as if this were another worker
        peer.send(rig.WORK, 1, self.PLACES - len(self.held), LEASE_MS, QUEUES)
        tasks = self.held | {token: task for token, (task, _) in self.settling.items()}
        self.resumed = (peer.send(rig.RESUME, 1, [[tasks[token], token] for token in tasks]), list(tasks))

    def turn(self):
        if time.monotonic() > self.peer.said_at + LEASE_MS / 6000:
            self.peer.send(rig.PING)
        if self.resumed is None and self.held and (self.drains or self.dice.random() < 0.1):
            self.settle(list(self.held))

    def on_message(self, message):
        kind, correlation = message[:2]
        if kind == rig.DELIVER:
            self.on_deliver(message[3])
        elif kind == rig.ENDED:
            for task, token, *_ in message[2]:
                # The answer is lease_lost, and gives the place back.
                self.held.pop(token, None)
                if token not in self.settling:
                    self.peer.send(rig.SETTLE, [[task, token, rig.OUTCOME_RELEASED, True, None]])
        elif self.resumed and correlation == self.resumed[0]:
            self.on_resumed(message)
        elif correlation in self.asked:
            tokens = self.asked.pop(correlation)
            codes = [message[2]] * len(tokens) if kind == rig.REFUSED else code_list(message[2])
            self.on_settled(zip(tokens, codes, strict=True))

    def on_deliver(self, items):
        tokens = []
        for token, attempt, _, bytes_ in items:
            task = rig.unpack(bytes_)[0]
            self.auditor.delivered(task, token, attempt, bytes_)
            self.held[token] = task
            if self.drains or self.dice.random() < 0.85:
                tokens.append(token)
        if self.resumed is not None:
            return
        if self.dice.random() < 0.5:
            self.settle(tokens)
        else:
            for token in tokens:
                self.settle([token])

    def settle(self, tokens):
        for token in tokens:
            task = self.held.pop(token)
            self.settling[token] = (task, self.outcome(task, token))
        self.send(tokens, again=True)

    def outcome(self, task, token):
        """How this attempt ends, and what goes with it."""
        kind = 1.0 if self.drains else self.dice.random()
        text = f"{rig.text_of(task)} {token} " + "x" * self.dice.choice([0, 20, 250])
        if kind < 0.07:
            self.auditor.settles(task, token, rig.Settle(rig.OUTCOME_FAILED, text.encode()))
            return [rig.OUTCOME_FAILED, text, True, 1]
        if kind < 0.10:
            self.auditor.settles(task, token, rig.Settle(rig.OUTCOME_FAILED, text.encode(), for_good=True))
            return [rig.OUTCOME_FAILED, text, False, None]
        if kind < 0.14:
            self.auditor.settles(task, token, rig.Settle(rig.OUTCOME_RELEASED, b""))
            return [rig.OUTCOME_RELEASED, None]
        follow_ups = []
        if kind < 0.19:
            child = rig.new_id()
            follow_ups.append(rig.spec(child, QUEUES[0], b"follow-up", FIELDS))
            self.auditor.submits(child, follow_ups[0], parent=(task, token))
        children = [rig.unpack(each)[0] for each in follow_ups]
        self.auditor.settles(
            task, token, rig.Settle(rig.OUTCOME_SUCCEEDED, text.encode(), children=children))
        return [rig.OUTCOME_SUCCEEDED, text.encode(), "", follow_ups]

    def send(self, tokens, again):
        if not tokens:
            return
        items = []
        for token in tokens:
            task, (outcome, *fields) = self.settling[token]
            items.append([task, token, outcome, again, *fields])
        self.asked[self.peer.send(rig.SETTLE, items)] = tokens

    def on_resumed(self, message):
        tokens, self.resumed = self.resumed[1], None
        if message[0] == rig.REFUSED:
            codes = [message[2]] * len(tokens)
        else:
            codes = code_list(message[2])
        for token, code in zip(tokens, codes, strict=True):
            if code not in (rig.OK, rig.KNOWN) and self.held.pop(token, None):
                self.peer.send(rig.WORK, 1, 1, LEASE_MS, QUEUES)
        self.send(list(self.settling), again=False)

    def on_settled(self, answers):
        for token, code in answers:
            task, _ = self.settling[token]
            self.auditor.answered(task, token, code)
            if code not in rig.PASSING:
                del self.settling[token]
            else:
                self.send([token], again=False)


class KillEngine(rig.CrashTest):
    def setUp(self):
        super().setUp()
        print(f"seed {SEED}: JACK_SEED={SEED} repeats it, JACK_KILLS changes the number", flush=True)
        self.dice = random.Random(SEED)
        self.auditor = rig.Auditor()
        self.workers = [Worker(self.auditor, self.dice) for _ in range(2)]
        self.clients = [Submitter(self.auditor, self.dice) for _ in range(2)] + self.workers
        self.ready_seconds = []
        self.crashed_in_write = 0
        self.crashed_in_start = 0
        self.shim = rig.EXTRAS[0]

    def attach(self, engine):
        for number, client in enumerate(self.clients):
            if client.peer is not None:
                client.peer.close()
            client.attach(rig.Peer(self.context, engine.endpoint, f"client-{number}"))

    def run_clients(self, engine, until, submitting=True):
        """Serves all clients until the time has come, the engine has ended, or all is drained."""
        ended = os.pidfd_open(engine.process.pid)
        poller = zmq.Poller()
        poller.register(ended, zmq.POLLIN)
        by_socket = {client.peer.socket: client for client in self.clients}
        for socket in by_socket:
            poller.register(socket, zmq.POLLIN)
        try:
            while time.monotonic() < until and (submitting or self.auditor.unfinished):
                for client in self.clients:
                    if submitting or client in self.workers:
                        client.turn()
                ready = dict(poller.poll(20))
                for socket in ready.keys() & by_socket.keys():
                    self.hear(by_socket[socket])
                if ended in ready:
                    break
        finally:
            os.close(ended)
        if engine.process.poll() is not None:
            for client in self.clients:
                self.hear(client, messages_max=1000)

    def hear(self, client, messages_max=20):
        for _ in range(messages_max):
            message = client.peer.receive()
            if message is None:
                return
            client.on_message(message)

    def live_and_die(self, engine, in_write):
        """One life of the engine."""
        if in_write:
            # From within the start to some hundred commits later.
            at = self.dice.choice([self.dice.randrange(1, 60), self.dice.randrange(60, 600)])
            ready = engine.start(LD_PRELOAD=self.shim, JACK_CRASH_AT=at)
        else:
            ready = engine.start()
        if ready:
            self.ready_seconds.append(engine.seconds)
            self.attach(engine)
            seconds = 5 if in_write else self.dice.uniform(0.0, 0.3)
            self.run_clients(engine, time.monotonic() + seconds)
        else:
            self.crashed_in_start += 1
            self.assertTrue(in_write, engine.said())
        if engine.process.poll() is None:
            self.assertFalse(in_write, "the engine outlived the write that was to end it")
            engine.kill()
        else:
            self.assertEqual(engine.gone(), -9, engine.said())
            self.crashed_in_write += in_write

    def drain(self, engine):
        for worker in self.workers:
            worker.drains = True
        self.attach(engine)
        until = rig.deadline()
        while self.auditor.unfinished or any(client.under_way for client in self.clients[:2]):
            self.run_clients(engine, min(until, time.monotonic() + 0.5), submitting=False)
            self.assertLess(time.monotonic(), until, f"{self.auditor.unfinished} tasks do not end; "
                            f"{self.auditor.report()}; {self.auditor.violations[:20]}")

    def books_of(self, engine):
        books = self.peer(engine).books()
        return {task: (fields, status.fields) for task, (fields, status) in books.items()}

    def test_what_was_acknowledged_survives_kills_under_load(self):
        engine = self.engine("--durability", "full")
        for number in range(KILLS):
            self.live_and_die(engine, in_write=number % 2 == 1)
            if (number + 1) % 50 == 0:
                status, findings = self.doctor()
                self.assertEqual(status, 0, findings)
                self.assertTrue(findings["last stop"].startswith("not in order"), findings)
        self.restart(engine)
        self.ready_seconds.append(engine.seconds)
        self.drain(engine)

        reader = self.peer(engine)
        self.auditor.compare(reader.books(), reader.result)
        before = self.books_of(engine)
        self.assertEqual(engine.stop(), 0)
        status, findings = self.doctor()
        self.assertEqual(status, 0, findings)
        self.restart(engine)
        self.assertTrue(self.books_of(engine) == before, "a restart has changed the books")
        self.report()

    def report(self):
        print(f"{KILLS} kills, {self.crashed_in_write} of them at a write, {self.crashed_in_start} "
              f"while it was starting")
        print(self.auditor.report())
        slowest = max(self.ready_seconds)
        print(f"ready after {statistics.median(self.ready_seconds):.3f} s (median), {slowest:.3f} s (most)")
        self.assertEqual(self.auditor.violations[:20], [])
        self.assertGreater(self.auditor.settled, 10 * KILLS)
        self.assertLessEqual(slowest, READY_SECONDS_MAX)


if __name__ == "__main__":
    rig.main()
