"""`jack serve`, `jack doctor` and `jack bench`: engines that start, stop, crash and are measured."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import stat
import time

import zmq

from support import JACK, PATIENCE, JackTest, main


class EngineTest(JackTest):
    def findings(self, *arguments, status=0):
        """What the doctor says, by the name of each finding."""
        report = self.json("doctor", *arguments, status=status)
        findings = {finding["name"]: finding for finding in report["findings"]}
        # Of a running engine there were two named `engine` and two named `version`.
        self.assertEqual(len(findings), len(report["findings"]), "two findings have one name")
        return findings


class Serve(EngineTest):
    def test_one_ready_line_once_it_accepts_work(self):
        engine = self.serve()
        self.assertIn(f"ipc://{self.data_dir}/jack.sock", engine.ready)
        self.submit("q")
        self.stop(engine)
        self.assertEqual(engine.output, b"")

        engine = self.serve("--json")
        ready = json.loads(engine.ready)
        self.assertEqual((ready["ready"], ready["pid"], ready["data_dir"]),
                         (True, engine.pid, str(self.data_dir)))
        self.assertEqual(ready["endpoints"], [f"ipc://{self.data_dir}/jack.sock"])

    def test_both_signals_stop_it_in_order(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            engine = self.serve()
            task = self.submit("q")
            self.stop(engine, number)
            self.assertRegex((self.data_dir / "last-stop").read_text(), "^clean ")
        self.serve()
        self.assertEqual(self.state(task), "queued")

    def test_it_stops_as_soon_as_it_can(self):
        """It once slept for a second behind its last turn."""
        engine = self.serve()
        begun = time.monotonic()
        self.stop(engine)
        self.assertLess(time.monotonic() - begun, 0.9)

    def test_the_log_is_for_people_or_for_programs(self):
        errors = self.stop(self.serve("--log-level", "debug"))
        self.assertRegex(errors, r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} info ")
        errors = self.stop(self.serve("--log-format", "json"))
        for line in errors.splitlines():
            self.assertEqual(set(json.loads(line)), {"at", "level", "message"})
        self.assertNotEqual(errors, "")
        self.assertEqual(self.stop(self.serve("--log-level", "error")), "")

    def test_a_data_directory_in_use_is_5(self):
        engine = self.serve()
        complaint = self.refused("serve", status=5)
        self.assertIn(str(engine.pid), complaint)
        self.submit("q")

    def test_an_address_in_use_is_5(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            self.refused("serve", "--listen", f"tcp://127.0.0.1:{port}", status=5)

    # libzmq takes a port modulo 65536 and listened on another one, without a word.
    def test_an_address_that_is_none_is_2_and_says_what_is_missing(self):
        for address, fault in (("tcp://127.0.0.1:99999", "port"), ("tcp://127.0.0.1", "no port"),
                               ("tcp://:7077", "no host"), ("tcp://localhost:0", "no IP address"),
                               ("127.0.0.1:7077", "ipc:///PATH")):
            complaint = self.refused("serve", "--listen", address, status=2)
            self.assertIn("--listen", complaint)
            self.assertIn(fault, complaint)
            self.refused("ls", "--engine", address, status=2)
        self.refused("ls", "--engine", "tcp://127.0.0.1:0", status=2)
        # What a configuration says is the engine's to refuse.
        self.assertIn("port", self.refused("serve", status=4, JACK_LISTEN="tcp://127.0.0.1:99999"))

    # `jack serve --data-dir ~` closed a home to everybody else, without a word.
    def test_a_folder_with_other_things_is_not_closed_to_others(self):
        home = self.folder / "home"
        home.mkdir()
        home.chmod(0o755)
        (home / "letter.txt").touch()
        complaint = self.refused("serve", "--data-dir", home, status=4)
        self.assertIn("chmod 700", complaint)
        self.assertEqual(stat.S_IMODE(home.stat().st_mode), 0o755)
        self.assertEqual(os.listdir(home), ["letter.txt"])
        home.chmod(0o700)
        self.serve("--data-dir", home)

    # These ended with 5, as if no engine had answered.
    def test_what_belongs_to_somebody_else_is_7(self):
        self.stop(self.serve())
        closed = self.folder / "closed"
        closed.mkdir(mode=0o700)
        self.folder.chmod(0o755)
        secret = self.folder / "secret.toml"
        secret.touch(mode=0o600)
        stranger = {}
        if os.geteuid() == 0:
            # A checkout in root's own folder hides the program itself.
            program = shutil.copy(JACK, self.folder)
            stranger = {"user": 65534, "group": 65534, "executable": program}
        else:  # who may not become another user can lock himself out instead
            for path in (self.data_dir, closed, secret):
                self.addCleanup(path.chmod, 0o700)
                path.chmod(0)
        for arguments in (["serve"], ["serve", "--data-dir", closed],
                          ["serve", "--data-dir", closed / "below"],
                          ["config", "--config", secret], ["doctor"]):
            process = self.start(*arguments, **stranger)
            complaint = self.end(process, status=7)
            self.assertIn("somebody else", complaint, arguments)

    # The next start, and the doctor, told of a crash.
    def test_a_start_that_is_refused_is_no_crash(self):
        self.stop(self.serve())
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            self.refused("serve", "--listen", f"tcp://127.0.0.1:{port}", status=5)
        self.refused("serve", "--listen", "tcp://0.0.0.0:0", status=7)
        ended = self.run_jack("serve", "--set", "limits.timers_per_tick_max=0")
        self.assertEqual(ended.returncode, 4)
        self.assertIn("in order", self.findings()["last stop"]["text"])
        self.assertNotIn("did not stop in order", self.stop(self.serve()))

    # The client looked for a socket file that there was not and said that no engine answers.
    def test_an_engine_that_only_takes_keys_is_found_by_its_directory(self):
        key_file = self.jack("keys", "new", "--curve", "laptop").strip()
        engine = self.serve("--listen", "tcp://127.0.0.1:0")
        address = engine.ready.split()[-1]
        complaint = self.refused("ls", status=7)
        self.assertIn(address, complaint)
        self.assertIn("--key-file", complaint)
        self.jack("ls", "--key-file", key_file, "--engine-key-file",
                  self.data_dir / "keys/engine.pub")

    # Everybody was locked out, and nobody was told why.
    def test_a_file_of_keys_that_cannot_be_read_is_told_in_the_log(self):
        key_file = self.jack("keys", "new", "--curve", "laptop").strip()
        engine = self.serve("--listen", "tcp://127.0.0.1:0")
        with open(self.data_dir / "keys/allowed", "a", encoding="utf-8") as allowed:
            allowed.write("no key\n")
        self.refused("ls", "--key-file", key_file, "--engine-key-file",
                     self.data_dir / "keys/engine.pub", status=7)
        errors = self.stop(engine)
        self.assertRegex(errors, "error .*keys/allowed:3: not a name and a public CURVE key")

    def test_a_second_signal_ends_it_at_once(self):
        self.stop(self.serve())
        # Somebody reads the journal, which the engine wants for itself: it waits two seconds.
        reader = sqlite3.connect(self.data_dir / "journal.db")
        self.addCleanup(reader.close)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM entry").fetchall()
        engine = self.start("serve")
        lock = self.data_dir / "lock"
        end = time.monotonic() + PATIENCE
        while lock.read_text().strip() != str(engine.pid):  # by now it listens to signals
            self.assertLess(time.monotonic(), end)
            time.sleep(0.001)
        engine.send_signal(signal.SIGINT)
        engine.send_signal(signal.SIGTERM)
        self.assertIn("told twice", self.end(engine, status=-signal.SIGTERM))
        reader.close()
        self.serve()

    def test_the_directory_is_for_its_owner_alone(self):
        self.serve()
        self.assertEqual(stat.S_IMODE(self.data_dir.stat().st_mode), 0o700)
        for name in ("jack.sock", "journal.db", "tasks.db", "lock"):
            self.assertEqual(stat.S_IMODE((self.data_dir / name).stat().st_mode) & 0o077, 0, name)

    def test_a_path_too_long_for_a_socket_works_all_the_same(self):
        self.data_dir = self.folder / ("x" * 100) / ("y" * 100)
        self.environment["JACK_DATA_DIR"] = str(self.data_dir)
        self.serve()
        task = self.submit("q")
        self.assertEqual(self.state(task), "queued")

    def test_it_listens_where_it_is_told(self):
        address = f"ipc://{self.folder}/other.sock"
        engine = self.serve("--listen", address, "--listen", "tcp://127.0.0.1:0")
        tcp = engine.ready.split()[-1]
        for place in (address, tcp):
            self.jack("ls", "--engine", place)
            self.jack("ls", JACK_ENGINE=place, JACK_DATA_DIR="/nowhere")
        self.jack("ls", "--data-dir", self.data_dir, JACK_ENGINE="ipc:///nowhere")

    def test_a_socket_path_without_a_folder_is_in_the_present_one(self):
        engine = self.serve("--listen", "ipc://here.sock")
        self.assertIn(f"ipc://{self.folder.resolve()}/here.sock", engine.ready)
        self.jack("ls")

    def test_what_was_accepted_is_there_after_a_kill(self):
        engine = self.serve()
        tasks = [self.submit("q") for _ in range(5)]
        done = self.submit("done")
        self.work("done", "printf result")
        engine.kill()
        engine.wait()

        self.serve()
        self.assertEqual([self.state(task) for task in tasks], ["queued"] * 5)
        self.assertEqual(self.jack("result", done), "result")

    def test_in_memory_nothing_survives_and_no_file_is_made(self):
        engine = self.serve("--transport", "memory", "--listen", f"ipc://{self.folder}/m.sock")
        there = ["--engine", f"ipc://{self.folder}/m.sock"]
        self.jack("submit", "q", *there)
        self.assertEqual(len(self.json("ls", *there)["tasks"]), 1)
        self.stop(engine)
        self.assertFalse((self.data_dir / "journal.db").exists())

    def test_the_journal_is_kept_where_that_is_asked_for(self):
        (self.folder / "jack.toml").write_text("[journal]\nkeep = 'all'\n")
        for _ in range(3):
            engine = self.serve()
            self.submit("q")
            self.stop(engine)
        findings = self.findings()
        self.assertIn("entries 1 to", findings["journal"]["text"])
        self.assertIn("same hash", findings["replay"]["text"])


class Doctor(EngineTest):
    # They were counted where nobody could read them.
    def test_what_strangers_do_wrong_is_counted(self):
        self.serve()
        self.assertEqual(self.findings()["malformed"]["text"], "0")
        with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
            stranger.connect(f"ipc://{self.data_dir}/jack.sock")
            stranger.send_multipart([b"", b"two frames"])
            stranger.send(b"no message")
            self.assertTrue(stranger.poll(60_000))  # refused; the one before has been seen, too
            stranger.recv()
        findings = self.findings()
        self.assertEqual([findings[name]["text"] for name in ("malformed", "overflown", "refused")],
                         ["2", "0", "0"])

    def test_a_directory_that_is_none_is_3(self):
        self.refused("doctor", status=3)

    def test_a_stopped_directory_is_looked_into(self):
        engine = self.serve()
        for _ in range(10):
            self.submit("q")
        self.work("q", "--max", "3", "true")
        self.stop(engine)
        report = self.json("doctor")
        self.assertTrue(report["healthy"])
        findings = {each["name"]: each for each in report["findings"]}
        self.assertIn("no engine runs", findings["looked at"]["text"])
        self.assertIn("in order", findings["last stop"]["text"])
        self.assertIn("7 unfinished tasks", findings["state"]["text"])
        self.assertEqual(findings["structure of the journal"]["text"], "whole")
        self.assertIn("hash", self.jack("doctor"))
        # It has only looked: the engine goes on where it was.
        self.serve()
        self.assertEqual(len(self.json("ls", "--unfinished")["tasks"]), 7)

    # It was no data directory to the doctor, and `jack serve` opened it.
    def test_a_copy_without_the_lock_is_looked_into(self):
        engine = self.serve()
        self.submit("q")
        self.stop(engine)
        (self.data_dir / "lock").unlink()
        self.assertIn("1 unfinished tasks", self.findings()["state"]["text"])
        self.serve()
        (self.folder / "other").mkdir()
        self.refused("doctor", "--data-dir", self.folder / "other", status=3)
        self.assertEqual(os.listdir(self.folder / "other"), [])

    def test_a_crash_is_told_and_what_is_to_be_recovered(self):
        engine = self.serve("--keep-journal")
        for _ in range(10):
            self.submit("q")
        engine.kill()
        engine.wait()
        for _ in range(2):  # looking changes nothing
            findings = self.findings()
            self.assertIn("not in order", findings["last stop"]["text"])
            self.assertIn("10 unfinished tasks", findings["state"]["text"])
            self.assertIn("same hash", findings["replay"]["text"])
        self.serve()
        self.assertEqual(len(self.json("ls", "--unfinished")["tasks"]), 10)

    def test_a_running_engine_is_asked(self):
        self.serve()
        self.submit("q")
        findings = self.findings()
        self.assertIn("an engine runs", findings["looked at"]["text"])
        self.assertIn("power loss", findings["guarantee"]["text"])
        self.assertEqual(findings["tasks"]["text"], "1")
        self.assertEqual(findings["structure of the store"]["text"], "whole")
        asked = self.findings("--engine", f"ipc://{self.data_dir}/jack.sock")
        self.assertEqual(asked["tasks"]["text"], "1")
        # It told of a data directory that had nothing to do with the engine that was asked.
        self.assertNotIn("data directory", asked)
        self.assertIn("data directory", findings)

    def test_a_weaker_guarantee_is_told(self):
        self.serve("--durability", "normal")
        self.assertNotEqual(self.findings()["guarantee"]["text"], "")

    def test_damage_is_70_and_named(self):
        engine = self.serve("--keep-journal")
        for number in range(50):
            self.submit("q", f"payload {number}" * 50)
        self.stop(engine)
        whole = self.folder / "whole"
        shutil.copytree(self.data_dir, whole)
        damages = {
            "journal.db": lambda path: self.execute(
                path, "UPDATE entry SET bytes = zeroblob(100) WHERE idx = 20"),
            "tasks.db": lambda path: path.write_bytes(path.read_bytes()[:8192] + os.urandom(
                path.stat().st_size - 8192)),
        }
        for name, damage in damages.items():
            shutil.rmtree(self.data_dir)
            shutil.copytree(whole, self.data_dir)
            damage(self.data_dir / name)
            report = self.json("doctor", status=70)
            self.assertFalse(report["healthy"])
            names = [each["name"] for each in report["findings"]]
            self.assertEqual(len(names), len(set(names)), names)
            problems = [each for each in report["findings"] if not each["ok"]]
            self.assertEqual({each["problem"]["code"] for each in problems}, {"corruption"}, name)
            self.assertIn("problem", self.jack("doctor", status=70))

    def execute(self, path, sql):
        database = sqlite3.connect(path)
        database.execute(sql)
        database.commit()
        database.close()

    def test_another_file_in_place_of_ours_is_70(self):
        self.stop(self.serve())
        (self.data_dir / "tasks.db").write_bytes(b"not a database" * 1000)
        self.refused("serve", status=70)
        self.jack("doctor", status=70)

    def test_files_of_a_newer_version_are_refused_untouched(self):
        self.stop(self.serve())
        path = self.data_dir / "tasks.db"
        self.execute(path, "PRAGMA user_version = 1000")
        before = path.read_bytes()
        self.refused("serve", status=4)
        self.jack("doctor", status=4)
        self.assertEqual(path.read_bytes(), before)


class Bench(JackTest):
    def test_it_measures_with_an_engine_of_its_own(self):
        for flags, waited_for in (([], 0), (["--wait"], 500), (["--batch", "50"], 12)):
            figures = self.json("bench", "--tasks", "500", *flags, "--clients", "3",
                                "--in", self.folder)
            self.assertEqual(figures["settings"]["tasks"], 500)
            self.assertEqual(figures["latency_us"]["submit_to_start"]["samples"], 500)
            self.assertGreater(figures["finished_per_second"], 0)
            self.assertEqual(figures["latency_us"]["submit_to_result"]["samples"], waited_for)
            self.assertGreater(figures["written_bytes"] + figures["memory_peak_bytes"], 0)
        self.assertEqual(list(self.folder.glob("jack-bench-*")), [])
        text = self.jack("bench", "--tasks", "100", "--transport", "memory")
        self.assertIn("end to end", text)

    # Its temporary folder stayed behind.
    def test_a_signal_ends_it_and_removes_its_folder(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            bench = self.start("bench", "--tasks", "100000000", "--workers", "0", "--in", self.folder)
            end = time.monotonic() + PATIENCE
            while not list(self.folder.glob("jack-bench-*/data/engine")):  # under way
                self.assertLess(time.monotonic(), end)
                time.sleep(0.001)
            self.stop(bench, number, status=-number)
            self.assertEqual(bench.output, b"")
            self.assertEqual(list(self.folder.glob("jack-bench-*")), [])

    def test_what_is_of_the_embedded_engine_is_refused_for_another(self):
        for flag, value in (("--durability", "full"), ("--transport", "local"), ("--in", ".")):
            for where in (("--data-dir", "data"), ("--engine", "ipc:///nowhere")):
                self.assertIn(flag, self.refused("bench", flag, value, *where, status=2))
        for flag in ("--tasks", "--clients", "--threads", "--batch"):
            self.assertIn(flag, self.refused("bench", flag, "0", status=2))

    def test_it_measures_a_restart_with_all_tasks_queued(self):
        figures = self.json("bench", "--tasks", "2000", "--batch", "500", "--workers", "0",
                            "--durability", "normal")
        self.assertGreater(figures["reopen_seconds"], 0)
        self.assertNotIn("total_seconds", figures)

    def test_it_measures_an_engine_that_runs(self):
        self.serve()
        figures = self.json("bench", "--data-dir", self.data_dir, "--tasks", "200", "--batch", "10")
        self.assertFalse(figures["settings"]["embedded"])
        queue = self.json("queues")["queues"][0]
        self.assertEqual(queue["succeeded"], 200)


if __name__ == "__main__":
    main()
