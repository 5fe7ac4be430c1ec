#!/usr/bin/python3
"""Stopping, starting, looking with the doctor, and files that are not what was written.

    restart_test.py JACK
"""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import sqlite3

import rig

SEED = 20261122
TASKS = 300
CORRUPTION = 70  # exit status
PAGE_BYTES = 4096


class Filled(rig.CrashTest):
    """Has tasks of all kinds, and reads all that can be read of them."""

    def fill(self, engine, count=TASKS, body=20):
        """Tasks in every state that a restart may meet, their ids so many times as payload and,
        backwards, as result. What a reader sees of them."""
        client = self.peer(engine, "client")
        tasks = [rig.new_id() for _ in range(count)]
        fields = [{}, {5: 3_600_000}, {rig.MAX_ATTEMPTS: 1}]  # 5: delay
        specs = [rig.spec(task, "q", task * body, fields[n % 3]) for n, task in enumerate(tasks)]
        self.assertEqual(client.items(rig.SUBMIT, specs), [rig.OK] * count)
        for number, (task, token, _) in enumerate(client.claim("q", count // 3)):
            settle = [[rig.OUTCOME_SUCCEEDED, False, task[::-1] * body, "", []],
                      [rig.OUTCOME_FAILED, False, "no", False, None],
                      [rig.OUTCOME_FAILED, False, "again", True, 3_600_000]][number % 3]  # fmt: skip
            if number % 4:
                self.assertEqual(client.items(rig.SETTLE, [[task, token, *settle]]), [rig.OK])
        # What it still holds is given back, so that the books do not change by themselves.
        client.call(rig.WORK, 1, -1000, 0, ["q"])
        for task, (_, status) in client.books().items():
            if status.state == rig.RUNNING:
                client.items(rig.SETTLE, [[task, status.token, rig.OUTCOME_RELEASED, False, None]])
        client.close()
        return self.read(engine)

    def read(self, engine):
        """All that can be read of all tasks."""
        reader = self.peer(engine, "reader")
        seen = {}
        for task in reader.books():
            spec, status = reader.call(rig.GET, task, True)[:2]
            ended = rig.unpack(status)[0] >= rig.SUCCEEDED
            seen[task] = (spec, status, reader.result(task) if ended else None)
        reader.close()
        return seen


class Restart(Filled):
    def assert_healthy(self, last_stop, data_dir=None):
        status, findings = self.doctor(data_dir)
        self.assertEqual(status, 0, findings)
        self.assertTrue(findings["last stop"].startswith(last_stop), findings["last stop"])
        self.assertIn("hash", findings["state"])
        return findings

    def hash_of(self, findings):
        return findings["state"].split("hash ")[1].split()[0]

    def test_everything_is_there_after_a_stop_in_order(self):
        engine = self.serve()
        before = self.fill(engine)
        self.assertEqual(len(before), TASKS)
        for _ in range(2):
            self.assertEqual(engine.stop(), 0, engine.said())
            self.assert_healthy("in order")
            self.restart(engine)
            self.assertTrue(self.read(engine) == before, "the restart has changed something")
            self.assertLessEqual(engine.seconds, 2)

    def test_everything_is_there_after_a_kill_and_the_doctor_tells_of_it(self):
        engine = self.serve()
        before = self.fill(engine)
        for _ in range(2):
            engine.kill()
            findings = self.assert_healthy("not in order")
            # Looking changes nothing.
            self.assertEqual(self.hash_of(self.assert_healthy("not in order")), self.hash_of(findings))
            self.restart(engine)
            self.assertIn("did not stop in order", engine.said())
            self.assertTrue(self.read(engine) == before, "the restart has changed something")

    def test_a_second_signal_ends_it_at_once_and_nothing_is_lost(self):
        engine = self.serve()
        before = self.fill(engine)
        engine.process.send_signal(signal.SIGTERM)
        engine.process.send_signal(signal.SIGTERM)
        engine.gone()
        self.assertEqual(self.doctor()[0], 0)
        self.restart(engine)
        self.assertTrue(self.read(engine) == before)

    def test_a_replay_from_the_first_entry_gives_the_same_state(self):
        engine = self.engine("--keep-journal")
        for end in (engine.stop, engine.kill, engine.stop):
            self.restart(engine)
            self.fill(engine, 60)
            end()
            status, findings = self.doctor()
            self.assertEqual(status, 0, findings)
            self.assertIn("from the first entry gives the same hash", findings["replay"])

    def test_another_program_may_look_into_the_files_of_a_running_engine(self):
        """Closing the engine's own look at the header dropped its locks: the next reader found
        nobody there and deleted the WAL, and all later flushes with it."""
        engine = self.serve()
        self.fill(engine, 30)
        wal = pathlib.Path(engine.data_dir) / "tasks.db-wal"
        before = wal.stat().st_ino
        with contextlib.closing(sqlite3.connect(wal.with_name("tasks.db"))) as reader:
            reader.execute("SELECT count(*) FROM live").fetchone()
        self.assertEqual(wal.stat().st_ino, before)
        seen = self.fill(engine, 30)
        engine.kill()
        self.restart(engine)
        self.assertEqual(self.read(engine).keys(), seen.keys())

    def test_a_journal_that_ends_before_the_store_is_told_of(self):
        """It was skipped over in silence, although entries may have been lost with its end."""
        engine = self.serve()
        self.fill(engine, 30)
        engine.stop()
        old = (self.data_dir / "journal.db").read_bytes()
        self.restart(engine)
        seen = self.fill(engine, 30)
        engine.stop()
        (self.data_dir / "journal.db").write_bytes(old)
        self.restart(engine)
        self.assertIn("the journal ends with entry", engine.said())
        self.assertTrue(self.read(engine) == seen)

    def test_a_second_engine_is_kept_out(self):
        self.serve()
        other = self.engine()
        self.assertFalse(other.start())
        self.assertEqual(other.process.returncode, 5)
        self.assertIn("in use", other.said())


class Damage(Filled):
    """Bytes are changed in copies of a stopped directory. Either that is named, by status 70 or as
    corruption once somebody reads it, or all is there as it was."""

    def make(self, *flags, body=20, large=0):
        """The directory, its engine stopped in order. A large task has a payload of 1 MB."""
        engine = self.engine(*flags, data_dir=self.folder / "original")
        self.restart(engine)
        client = self.peer(engine)
        for _ in range(large):
            task = rig.spec(rig.new_id(), "large", os.urandom(1_000_000))
            self.assertEqual(client.items(rig.SUBMIT, [task]), [rig.OK])
        self.before = self.fill(engine, body=body)
        self.assertEqual(engine.stop(), 0)
        self.original = engine.data_dir

    def damaged_copy(self, file, damage):
        copy = self.folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(self.original, copy, ignore=shutil.ignore_patterns("reserve", "*.sock"))
        damage(copy / file)
        return copy

    def flip(self, at, count=64):
        """Changes bytes of a file."""

        def damage(path):
            with open(path, "r+b") as file:
                file.seek(at)
                damaged = bytes(byte ^ 0x5A for byte in file.read(count))
                file.seek(at)
                file.write(damaged)

        return damage

    def is_named(self, copy, what):
        """True where the damage is told of; False where there is none to be seen."""
        status, findings = self.doctor(copy)
        self.assertIn(status, (0, CORRUPTION), f"{what}: {findings}")
        engine = self.engine(data_dir=copy)
        if not engine.start():
            self.assertEqual(engine.process.returncode, CORRUPTION, f"{what}: {engine.said()}")
            return True
        try:
            seen = self.read(engine)
        except rig.Refused as refused:
            self.assertEqual(refused.code, rig.CORRUPTION, f"{what}: {refused}")
            return True
        finally:
            engine.kill()
        if status == CORRUPTION:
            return True
        changed = [rig.text_of(task) for task in self.before if seen.get(task) != self.before[task]]
        self.assertEqual(changed, [], f"{what}: lost or changed without a word")
        return False


class DamagedFiles(Damage):
    def sweep(self, file, pages_max):
        dice = random.Random(SEED)
        pages = range((self.original / file).stat().st_size // PAGE_BYTES)
        chosen = sorted(dice.sample(pages, min(len(pages), pages_max)))
        named = 0
        for page in chosen:
            at = page * PAGE_BYTES + dice.randrange(PAGE_BYTES - 64)
            named += self.is_named(self.damaged_copy(file, self.flip(at)), f"{file} at {at}")
        print(f"{file}: {len(chosen)} damaged pages, {named} of them named", flush=True)
        return named

    def test_damaged_pages_of_the_store_are_named(self):
        self.make()
        self.assertGreater(self.sweep("tasks.db", 40), 5)

    def test_damaged_pages_of_the_journal_are_named(self):
        # Entries enough that they have moved from the WAL to the file.
        self.make("--keep-journal", large=8)
        self.assertGreater(self.sweep("journal.db", 10), 0)

    def test_a_file_that_was_cut_is_named(self):
        self.make()
        for part in (0.3, 0.7):
            copy = self.damaged_copy(
                "tasks.db", lambda path: os.truncate(path, int(path.stat().st_size * part)))
            self.assertTrue(self.is_named(copy, f"tasks.db cut to {part}"))

    def test_a_file_that_is_something_else_is_named(self):
        self.make()
        for file in ("tasks.db", "journal.db"):
            copy = self.damaged_copy(file, lambda path: path.write_bytes(b"no database " * 1000))
            self.assertTrue(self.is_named(copy, f"{file} replaced"))

    def test_a_store_that_is_missing_is_named(self):
        self.make()
        copy = self.damaged_copy("tasks.db", pathlib.Path.unlink)
        self.assertTrue(self.is_named(copy, "tasks.db removed"))


class DamagedValues(Damage):
    """One byte of a task is changed where it is stored. That task is named, the others are read as
    before."""

    def damaged_in(self, value):
        """A copy in which one byte of these is another, all the times they are stored."""

        def damage(path):
            content = path.read_bytes()
            self.assertIn(value, content)
            path.write_bytes(content.replace(value, value[:100] + bytes([value[100] ^ 1]) + value[101:]))

        return self.damaged_copy("tasks.db", damage)

    def task_in(self, *states):
        return next(task for task, (_, status, _) in self.before.items()
                    if rig.unpack(status)[0] in states)  # fmt: skip

    def check_named(self, copy, task, name):
        status, findings = self.doctor(copy)
        self.assertEqual(status, CORRUPTION, findings)
        problem = findings["values of the store"]["message"]
        self.assertIn(f"the {name} of task {rig.text_of(task)}", problem)
        self.assertTrue(problem.startswith("1 of "), problem)
        self.assertIn("whole", findings["structure of the store"])

    def check_others(self, engine, damaged):
        reader = self.peer(engine, "reader")
        for task, (spec, status, result) in self.before.items():
            if task != damaged:
                self.assertEqual(reader.call(rig.GET, task, True)[:2], [spec, status])
                if result is not None:
                    self.assertEqual(reader.result(task), result)

    def test_a_damaged_payload_is_named_to_whoever_reads_it(self):
        self.make()
        for states in ((rig.QUEUED,), (rig.SUCCEEDED,)):
            task = self.task_in(*states)
            copy = self.damaged_in(task * 20)
            self.check_named(copy, task, "spec")
            engine = self.serve(data_dir=copy)
            with self.assertRaises(rig.Refused) as refused:
                self.peer(engine).call(rig.GET, task, True)
            self.assertEqual(refused.exception.code, rig.CORRUPTION)
            self.assertIn(rig.text_of(task), str(refused.exception))
            self.jack("show", rig.text_of(task), status=CORRUPTION, data_dir=copy)
            self.check_others(engine, task)
            engine.kill()

    def test_a_damaged_payload_is_not_handed_out(self):
        self.make()
        task = self.task_in(rig.QUEUED)
        engine = self.serve(data_dir=self.damaged_in(task * 20))
        worker = self.peer(engine, "worker")
        worker.call(rig.WORK, 1, 1000, 0, ["q"])
        end = rig.deadline()
        facts = {}
        while facts.get("state") != "stopped" and rig.left(end):
            facts = worker.call(rig.INFO)[0]
        self.assertIn(f"the spec of task {rig.text_of(task)}", facts["failure"])
        for message in worker.others:
            if message[0] == rig.DELIVER:
                self.assertNotIn(task, [rig.unpack(item[3])[0] for item in message[3]])

    def test_a_damaged_result_is_named(self):
        self.make()
        task = self.task_in(rig.SUCCEEDED)
        copy = self.damaged_in(task[::-1] * 20)
        self.check_named(copy, task, "result")
        engine = self.serve(data_dir=copy)
        with self.assertRaises(rig.Refused) as refused:
            self.peer(engine).result(task)
        self.assertEqual(refused.exception.code, rig.CORRUPTION)
        self.jack("result", rig.text_of(task), status=CORRUPTION, data_dir=copy)
        self.check_others(engine, task)


class DamagedWal(Damage):
    """A byte is changed amid a WAL that a killed engine left. SQLite takes it for the end, and what
    is behind it, acknowledged and gone, for what was never written."""

    def kill_after(self, submits, between=lambda client: None):
        engine = self.serve(data_dir=self.folder / "original")
        client = self.peer(engine)
        for _ in range(submits):
            task = rig.new_id()
            self.assertEqual(client.items(rig.SUBMIT, [rig.spec(task, "q", task)]), [rig.OK])
            between(client)
        self.before = self.read(engine)
        engine.kill()
        self.original = engine.data_dir

    def frames(self, file):
        """Where the frames of the present use of this WAL begin, and whether they end a transaction."""
        wal = (self.original / file).read_bytes()
        size = 24 + int.from_bytes(wal[8:12], "big")
        return [(at, wal[at + 4 : at + 8] != bytes(4)) for at in range(32, len(wal), size)
                if wal[at + 8 : at + 16] == wal[16:24]]  # fmt: skip

    def check_named(self, file, at):
        copy = self.damaged_copy(file, self.flip(at, 1))
        damaged = (copy / file).read_bytes()
        status, findings = self.doctor(copy)
        self.assertEqual(status, CORRUPTION, findings)
        problem = findings["journal" if file.startswith("journal") else "task store"]["message"]
        self.assertIn(file, problem)
        engine = self.engine(data_dir=copy)
        self.assertFalse(engine.start(), f"{file}: damage at {at} goes unnoticed")
        self.assertEqual(engine.process.returncode, CORRUPTION)
        self.assertIn(problem, engine.said())
        self.assertEqual((copy / file).read_bytes(), damaged, "it was changed")

    def sweep_wal(self, file):
        frames = self.frames(file)
        commits = [at for at, ends in frames if ends]
        self.assertGreater(len(commits), 5)
        told = [at for at, _ in frames if at <= commits[-3]]
        for at in told[:: len(told) // 6]:
            self.check_named(file, at + 1000)
        self.check_named(file, 20)  # the header
        print(f"{file}: {len(commits)} transactions in {len(frames)} frames", flush=True)

    def test_damage_amid_the_wal_of_the_journal_is_named(self):
        self.kill_after(10)
        self.sweep_wal("journal.db-wal")

    def test_damage_amid_the_wal_of_the_store_is_named(self):
        self.kill_after(10, lambda client: client.books())  # a list is read from the store
        self.sweep_wal("tasks.db-wal")

    def test_without_damage_all_is_there(self):
        self.kill_after(10)
        copy = self.damaged_copy("journal.db-wal", lambda path: None)
        self.assertEqual(self.doctor(copy)[0], 0)
        self.assertTrue(self.read(self.serve(data_dir=copy)) == self.before)

    def test_under_normal_durability_it_counts_as_what_power_loss_may_take(self):
        self.kill_after(10)
        at = self.frames("journal.db-wal")[0][0]
        copy = self.damaged_copy("journal.db-wal", self.flip(at + 1000, 1))
        engine = self.serve("--durability", "normal", data_dir=copy)
        self.assertIn("committed transactions, are lost", engine.said())


if __name__ == "__main__":
    rig.main()
