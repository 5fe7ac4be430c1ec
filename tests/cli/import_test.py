"""`jack import`: the files of the earlier server become tasks, all of them and each once.

    import_test.py JACK
"""

import json
import os
import pty
import shutil
import time
import urllib.parse
import urllib.request

from support import JACK, JackTest, main

CREATED = "2025-07-01T18:47:04Z"
NEW = {"imported": 0, "already_there": 0, "completed": 0, "skipped": 0}


def task(text, **more):
    return {"task": text, "created": CREATED} | more


class Import(JackTest):
    def write(self, name, content, **options):
        """A file in `shared`: text as it is, other things as Python writes them as JSON."""
        path = self.folder / "shared" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content, **options)
        path.write_text(text, encoding="utf-8")
        return f"shared/{name}"

    def counts(self, *arguments, status=0, **options):
        """What it says of all files together."""
        return self.json("import", *(arguments or ["shared"]), status=status, **options)["total"]

    def complaints(self, *arguments, status=8):
        ended = self.run_jack("import", *arguments)
        self.assertEqual(ended.returncode, status, ended.stderr.decode())
        return ended.stderr.decode()

    def tasks(self, *queue):
        """All of them with their payloads, in the order of their ids."""
        listed = self.json("ls", *queue, "--limit", 1000000)["tasks"]
        return [self.json("show", each["id"]) for each in reversed(listed)]


class Dry(Import):
    def test_a_dry_run_tells_the_same_and_needs_no_engine(self):
        self.write("tasks.json", [task("a"), task("b", assigned_to="ada"), task(7)])
        self.write("agent_tasks.json", {"ada": [task("c", status="completed", response="ok")]})
        ended = self.run_jack("import", "shared", "--dry-run")
        self.assertEqual(ended.returncode, 8)
        self.assertEqual(
            ended.stdout.decode().splitlines(),
            ["FILE                     WOULD IMPORT  ALREADY THERE  COMPLETED  SKIPPED",
             "shared/agent_tasks.json             1              0          1        0",
             "shared/tasks.json                   2              0          0        1",
             "all                                 3              0          1        1"])  # fmt: skip
        self.assertEqual(
            ended.stderr.decode(),
            'jack import: shared/tasks.json:1: left out: "task" is no text\n')
        self.assertTrue(self.json("import", "shared", "--dry-run", status=8)["dry_run"])
        self.assertFalse(self.data_dir.exists())

    def test_a_wrong_command_line_is_2_before_anything_is_read(self):
        path = self.write("tasks.json", "no JSON")
        for arguments in (["--map", "ada"], ["--map", "ada=no name"], ["--inbox", "no name"],
                          ["--map", "ada=a", "--map", "ada=b"]):
            self.refused("import", path, *arguments, status=2)
        self.refused("import", "nowhere", status=2)
        self.refused("import", status=2)

    def test_without_an_engine_it_is_5(self):
        path = self.write("tasks.json", [task("a")])
        complaint = self.refused("import", path, status=5, JACK_CLIENT_PATIENCE="50ms")
        self.assertIn("jack serve", complaint)

    def test_what_is_not_ours_is_counted_and_no_fault(self):
        self.write("notes.txt", "x")
        self.write("sub/readme.md", "x")
        complaints = self.complaints("shared", status=0)
        self.assertIn("there is no file to import", complaints)
        self.assertIn("passed over: 2", complaints)

    def test_a_name_that_is_misspelt_is_told(self):
        path = self.write("tasks.json", [task("a", assigned_to="ada")])
        complaints = self.complaints(path, "--dry-run", "--map", "Ada=x", status=0)
        self.assertIn("--map Ada=x: no task is for 'Ada'", complaints)

    def test_what_cannot_be_read_is_told_and_the_rest_goes_in(self):
        self.write("tasks.json", [task("a")])
        self.write("settings.json", {"port": 5000})
        self.write("a-to-b-to-c.md", f"{CREATED} - x")
        (self.folder / "shared/lost.json").symlink_to("nowhere")
        complaints = self.complaints("shared", "--dry-run")
        self.assertIn("shared/settings.json: holds neither tasks nor agents with tasks", complaints)
        self.assertIn("shared/a-to-b-to-c.md: from whom to whom is this?", complaints)
        self.assertIn("shared/lost.json: cannot open it: No such file", complaints)
        total = self.counts("shared", "--dry-run", status=8)
        self.assertEqual(total, NEW | {"imported": 1, "skipped": 3})

    def test_what_may_not_be_read_is_told(self):
        self.write("open.json", [task("a")])
        file = self.folder / self.write("closed.json", [task("b")])
        self.write("sub/tasks.json", [task("c")])
        self.folder.chmod(0o755)
        for path in (file, self.folder / "shared/sub"):
            self.addCleanup(path.chmod, 0o700)
            path.chmod(0)
        stranger = {}
        if os.geteuid() == 0:  # whom nothing stops; a checkout in its folder hides the program
            program = shutil.copy(JACK, self.folder)
            stranger = {"user": 65534, "group": 65534, "executable": program}
        process = self.start("import", "shared", "--dry-run", "--json", **stranger)
        complaints = self.end(process, status=8)
        self.assertIn("shared/closed.json: cannot open it: Permission denied", complaints)
        self.assertIn("cannot read shared/sub: Permission denied", complaints)
        self.assertEqual(json.loads(process.output)["total"], NEW | {"imported": 1, "skipped": 1})


class ToEngine(Import):
    def setUp(self):
        super().setUp()
        self.engine = self.serve()

    def test_tasks_keep_what_is_known_of_them(self):
        texts = ["emoji 🙂", "lines\nof\r\ntext\t\"quoted\" \\", "ü" * 25600, "again", "again"]
        self.write("tasks.json", [task(text) for text in texts] + [task("x", id=7, assigned_to="ada")])
        self.assertEqual(self.counts(), NEW | {"imported": 6})

        inbox = self.tasks("inbox")
        self.assertEqual(sorted(each["payload"] for each in inbox), sorted(texts))
        self.assertEqual({each["state"] for each in inbox}, {"queued"})
        [of_ada] = self.tasks("ada")
        self.assertEqual(of_ada["headers"], {"import-id": "7", "import-created": CREATED})
        # Escaped or as they are, with or without marks and line ends of Windows.
        (self.folder / "shared/tasks.json").write_bytes(
            b"\xef\xbb\xbf" + json.dumps(
                [task(text) for text in texts] + [task("x", id=7, assigned_to="ada")],
                ensure_ascii=False, indent=1).replace("\n", "\r\n").encode())
        self.assertEqual(self.counts(), NEW | {"already_there": 6})

    def test_tasks_start_in_the_order_of_the_file(self):
        texts = [f"task {number}" for number in range(1100)]  # over the end of a batch
        self.write("tasks.json", [task(text, assigned_to="ada") for text in texts])
        self.counts()
        self.work("ada", "cat >> done; echo >> done")
        self.assertEqual((self.folder / "done").read_text().splitlines(), texts)

    def test_a_mailbox_is_tasks_from_one_to_another(self):
        self.write("sub/ada-to-bob.md", f"# Box\n{CREATED} - Hello 🙂\n\n  - more\n{CREATED} - Bye\n")
        self.counts()
        tasks = self.tasks("bob")
        self.assertEqual({each["payload"] for each in tasks}, {"Hello 🙂\n\n  - more", "Bye"})
        self.assertEqual({each["from"] for each in tasks}, {"ada"})

    def test_importing_again_adds_what_is_new_and_nothing_else(self):
        entries = [task("a"), task("a"), task("b", id=2)]
        self.write("tasks.json", entries)
        self.assertEqual(self.counts(), NEW | {"imported": 3})
        self.assertEqual(self.counts(), NEW | {"already_there": 3})
        self.write("tasks.json", [*entries, task("a"), task("c")], indent=2)
        (self.folder / "shared").rename(self.folder / "moved")
        self.assertEqual(self.counts("moved"), NEW | {"imported": 2, "already_there": 3})
        self.work("inbox", "cat")
        self.assertEqual(self.counts("moved/tasks.json"), NEW | {"already_there": 5})
        self.assertEqual(len(self.tasks()), 5)

    def test_the_same_file_in_two_folders_is_imported_once(self):
        for folder in ("a", "b"):
            self.write(f"{folder}/tasks.json", [task("x"), task("x")])
        self.assertEqual(self.counts(), NEW | {"imported": 2, "already_there": 2})
        self.assertEqual(len(self.tasks()), 2)

    def by_text(self, queue):
        return {each["payload"]: each for each in self.tasks(queue)}

    def test_what_was_completed_is_never_given_to_a_worker(self):
        ran = self.gate("ran")
        self.submit("ada", "before")
        worker = self.start_work("ada", "cat > ran; echo > ran")
        self.assertEqual(ran.wait(), ["before"])
        self.watch_until("ada", "succeeded")  # it waits for the next one
        self.write("agent_tasks.json", {"ada": [
            task("done", id=1, status="completed", response="ok 🙂"),
            task("silent", id=2, status="completed"), task("open", id=3)]})
        self.write("tasks.json", [task("done", id=1, assigned_to="ada"),
                                  task("open", id=3, assigned_to="ada")])

        self.assertEqual(self.counts(), NEW | {"imported": 3, "already_there": 2, "completed": 2})

        self.assertEqual(ran.wait(), ["open"])
        tasks = self.by_text("ada")
        self.wait(tasks["open"]["id"])
        self.stop(worker)
        for text, response in (("done", "ok 🙂"), ("silent", "")):
            self.assertEqual(tasks[text]["state"], "succeeded")
            self.assertEqual(self.jack("result", tasks[text]["id"]), response)
        self.assertEqual(self.counts(), NEW | {"already_there": 5})

    def test_what_the_old_server_completed_since_is_completed_by_the_next_import(self):
        texts = ["ran", "held", "cancelled", "queued", "open"]
        entries = [task(text, id=number) for number, text in enumerate(texts)]
        path = self.write("agent_tasks.json", {"ada": entries}, indent=0)
        self.assertEqual(self.counts(), NEW | {"imported": 5})
        begun, go_on = self.gate("begun"), self.gate("go_on")
        self.work("ada", "--max", 1, "echo ours")
        worker = self.start_work("ada", "--max", 1, "echo > begun; read line < go_on; echo ours")
        begun.wait()
        before = self.by_text("ada")
        self.jack("cancel", before["cancelled"]["id"])
        for entry in entries[:4]:
            entry |= {"status": "completed", "response": "theirs"}
        self.write("agent_tasks.json", {"ada": entries}, indent=0)

        ended = self.run_jack("import", path, "--json")

        self.assertEqual(ended.returncode, 8)
        self.assertEqual(json.loads(ended.stdout)["total"],
                         NEW | {"already_there": 3, "completed": 1, "skipped": 2})
        held, cancelled = ended.stderr.decode().splitlines()
        self.assertRegex(held, r"agent_tasks.json:\d+: left out: completed since it was imported, "
                               f"but task {before['held']['id']} is held by a worker")
        self.assertIn(f"{before['cancelled']['id']} has ended already: cancelled", cancelled)
        after = self.by_text("ada")
        self.assertEqual({text: each["state"] for text, each in after.items()},
                         {"ran": "succeeded", "held": "running", "cancelled": "cancelled",
                          "queued": "succeeded", "open": "queued"})
        self.assertEqual(self.jack("result", after["queued"]["id"]), "theirs")
        self.assertEqual(self.jack("result", after["ran"]["id"]), "ours\n")

        go_on.open()
        self.end(worker)
        self.assertEqual(self.counts(status=8), NEW | {"already_there": 4, "skipped": 1})
        self.assertEqual(self.jack("result", after["held"]["id"]), "ours\n")

    def test_a_response_that_the_engine_does_not_take_is_left_out(self):
        self.write("agent_tasks.json", {"ada": [
            task("a", status="completed", response="x" * ((1 << 20) + 1)),
            task("b", status="completed", response="x" * (9 << 20)), task("c")]})
        complaints = self.complaints("shared")
        self.assertIn("left out: the result has 1048577 bytes", complaints)
        self.assertIn("left out: one request may have", complaints)
        self.assertEqual(self.by_text("ada").keys(), {"c"})

    def test_agents_get_queues_of_other_names(self):
        long = "x" * 129
        self.write("tasks.json", [task("a"), task("b", assigned_to=long),
                                  task("c", assigned_to="Bob B.")])
        complaints = self.complaints("shared", "--map", "Bob B.=bob", "--inbox", "triage")
        self.assertIn("shared/tasks.json:1: left out: no queue can be named for", complaints)
        self.assertIn("--map AGENT=QUEUE", complaints)
        [of_bob] = self.tasks("bob")
        self.assertEqual(of_bob["headers"], {"import-created": CREATED})
        self.assertEqual(len(self.tasks("triage")), 1)
        self.assertEqual(
            self.counts("shared", "--map", "Bob B.=bob", "--inbox", "triage", "--map", f"{long}=x"),
            NEW | {"imported": 1, "already_there": 2})
        # A task stays where it is.
        complaints = self.complaints("shared", "--map", "Bob B.=b", "--map", f"{long}=x", status=0)
        self.assertIn("shared/tasks.json:1: was imported before, to another queue", complaints)
        self.assertEqual(len(self.tasks()), 3)

    # Where each file gave its tasks ids of its own, they came in once more with every file.
    def test_a_task_is_one_task_whichever_file_is_seen_first(self):
        to_ada = {"assigned_to": "ada"}
        both = [task("a", **to_ada), task("b", id=2, **to_ada), task("b", id=3, **to_ada)]
        of_ada = [task("a", id=1), task("b", id=2), task("b", id=3), task("c", id=4)]
        all_tasks = self.write("tasks.json", [*both, task("c", id=4, **to_ada), task("a")])
        agents = json.dumps({"ada": of_ada}, indent=1)
        self.write("agent_tasks.json", agents[: agents.index('"c"')])  # cut off
        self.complaints("shared")
        self.assertEqual(len(self.tasks("ada")), 4)

        self.write("agent_tasks.json", agents)

        self.assertEqual(self.counts(), NEW | {"already_there": 9})
        self.assertEqual(self.counts(all_tasks), NEW | {"already_there": 5})
        self.assertEqual(self.counts("shared/agent_tasks.json"), NEW | {"already_there": 4})
        self.assertEqual(len(self.tasks("ada")), 4)
        self.assertEqual(len(self.tasks("inbox")), 1)  # nobody's, even if an agent has one like it

    def test_a_task_that_was_seen_in_the_list_of_all_is_completed_by_its_agents_list(self):
        path = self.write("tasks.json", [task("a", id=1, assigned_to="ada"),
                                         task("b", assigned_to="ada"), task("c", assigned_to="ada")])
        self.assertEqual(self.counts(path), NEW | {"imported": 3})
        done = {"status": "completed", "response": "theirs"}
        self.write("agent_tasks.json", {"ada": [
            task("a", id=1, **done), task("b", id=2, **done), task("c", id=3)]}, indent=0)

        ended = self.run_jack("import", "shared", "--json")

        self.assertEqual(ended.returncode, 0, ended.stderr.decode())
        self.assertEqual(json.loads(ended.stdout)["total"],
                         NEW | {"already_there": 6, "completed": 2})
        tasks = self.by_text("ada")
        self.assertEqual({text: each["state"] for text, each in tasks.items()},
                         {"a": "succeeded", "b": "succeeded", "c": "queued"})
        self.assertEqual(self.jack("result", tasks["b"]["id"]), "theirs")
        self.assertEqual(self.counts(), NEW | {"already_there": 6})
        self.work("ada", "cat >> ran")
        self.assertEqual((self.folder / "ran").read_text(), "c")

    def test_of_a_file_that_is_cut_off_the_whole_entries_are_imported(self):
        whole = json.dumps([task(f"task {number}") for number in range(100)], indent=1)
        self.write("tasks.json", whole[: whole.index("task 50") + 3])
        self.assertIn("shared/tasks.json:203:15: the file ends here", self.complaints("shared"))
        self.assertEqual(len(self.tasks()), 50)
        self.write("tasks.json", whole)
        self.assertEqual(self.counts(), NEW | {"imported": 50, "already_there": 50})

    def test_a_task_that_the_engine_does_not_take_is_left_out(self):
        self.write("tasks.json", [task("a"), task("x" * ((1 << 20) + 1)), task("b")], indent=0)
        self.assertIn("shared/tasks.json:6: left out: the payload has", self.complaints("shared"))
        self.assertEqual(len(self.tasks()), 2)

    def test_an_engine_that_is_full_ends_it_and_the_same_again_goes_on(self):
        self.write("tasks.json", [task(f"task {number}") for number in range(2500)])
        self.stop(self.engine)
        self.engine = self.serve("--set", "limits.unfinished_per_queue_max=1500")
        complaints = self.complaints("shared", status=4)
        self.assertIn("stopped after 1500 of 2500 tasks", complaints)
        self.assertIn("goes on from there", complaints)
        self.stop(self.engine)
        self.serve("--set", "limits.unfinished_per_queue_max=2500")
        self.assertEqual(self.counts(), NEW | {"imported": 1000, "already_there": 1500})

    def test_a_terminal_shows_how_far_it_is(self):
        path = self.write("tasks.json", [task(f"task {number}") for number in range(20_000)])
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        process = self.start("import", path, stderr=theirs)
        os.close(theirs)
        self.assertEqual(process.wait(), 0)
        shown = b""
        try:
            while part := os.read(ours, 4096):
                shown += part
        except OSError:  # how Linux says that the other end is closed
            pass
        self.assertIn("importing", shown.decode())


class OverHttp(Import):
    """What the routes of the earlier server say after an import."""

    def setUp(self):
        super().setUp()
        self.url = json.loads(self.serve("--http", "127.0.0.1:0", "--json").ready)["http"][0]

    def get(self, path):
        with urllib.request.urlopen(urllib.parse.urljoin(self.url, path)) as answer:
            return json.loads(answer.read())

    def test_tasks_are_listed_newest_first(self):
        def made(day, **more):
            return {"task": f"{day}", "created": f"2025-07-{day:02}T12:00:00Z"} | more

        done = {"status": "completed"}
        self.write("agent_tasks.json", {"bob": [made(2), made(5, **done)],
                                        "ada": [made(1, **done), made(4), made(7, **done)]})
        self.write("tasks.json", [made(3), made(6), {"task": "undated"}])
        self.write("eve-to-ada.md", "2025-07-08T12:00:00Z - 8")
        self.counts()
        listed = [each["task"] for each in self.get("/tasks")]
        self.assertEqual(listed, [*"87654321", "undated"])

    def test_an_agent_of_any_name_finds_its_tasks_unless_it_was_renamed(self):
        self.write("agent_tasks.json", {
            name: [task(f"for {name}")] for name in ("Ünï", "Claude Code", "Bob B.", "***")})
        self.assertEqual(self.counts("shared", "--map", "Bob B.=bob"), NEW | {"imported": 4})
        for name in ("Ünï", "Claude Code", "***"):
            [found] = self.get(f"/agent/{urllib.parse.quote(name)}/tasks")
            self.assertEqual((found["task"], found["assigned_to"]), (f"for {name}", name))
        [of_bob] = self.get("/agent/bob/tasks")
        self.assertEqual((of_bob["task"], of_bob["assigned_to"]), ("for Bob B.", "bob"))
        self.assertEqual(self.get("/agent/Bob%20B./tasks"), [])
        self.assertEqual({each["assigned_to"] for each in self.get("/tasks")},
                         {"Ünï", "Claude Code", "***", "bob"})


class Large(Import):
    COUNT = 100_000

    def setUp(self):
        super().setUp()
        self.serve()
        self.write("tasks.json", [
            task(f"task {number % 1000}", id=number // 2, assigned_to=f"agent-{number % 5}")
            for number in range(self.COUNT)
        ])  # fmt: skip

    def queued(self):
        return sum(queue["queued"] for queue in self.json("queues")["queues"])

    def test_after_a_kill_in_the_middle_the_same_again_completes_it(self):
        killed = self.start("import", "shared")
        self.watch_until("agent-0", "submitted")
        killed.kill()
        killed.communicate()
        self.assertEqual(killed.returncode, -9, "it was too fast to be killed")
        before = self.queued()
        self.assertGreater(before, 0)

        total = self.counts()

        self.assertEqual(total["already_there"], before)
        self.assertEqual(total["imported"], self.COUNT - before)
        self.assertEqual(self.queued(), self.COUNT)
        self.assertEqual(self.counts(), NEW | {"already_there": self.COUNT})

    def timed(self, what, expected, *arguments):
        begun = time.monotonic()
        self.assertEqual(self.counts("shared", *arguments), NEW | expected)
        took = time.monotonic() - begun
        print(f"{self.COUNT} entries, {what}: {took:.1f} s", flush=True)
        self.assertLess(took, 10)

    def test_it_takes_seconds(self):
        self.timed("dry run", {"imported": self.COUNT}, "--dry-run")
        self.timed("new", {"imported": self.COUNT})
        self.timed("again", {"already_there": self.COUNT})
        entries = json.loads((self.folder / "shared/tasks.json").read_text())
        for entry in entries[::2]:
            entry |= {"status": "completed", "response": "done"}
        self.write("tasks.json", entries)
        there = {"already_there": self.COUNT}
        self.timed("half of them completed", there | {"completed": self.COUNT // 2})
        # It once asked for the state of each, which took half a minute.
        self.timed("and again", there)


if __name__ == "__main__":
    main()
