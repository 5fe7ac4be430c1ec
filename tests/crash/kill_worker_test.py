#!/usr/bin/python3
"""`jack work` that is killed again and again: every task succeeds, once, and no command outlives it.

    kill_worker_test.py JACK

JACK_KILLS=200 kills it 200 times, JACK_SEED=N repeats a run.
"""

import os
import pathlib
import random
import select
import subprocess

import rig

KILLS = int(os.environ.get("JACK_KILLS", "120"))
SEED = int(os.environ.get("JACK_SEED", random.SystemRandom().randrange(1 << 32)))

# So that there is always work, and not too much of it at the end.
UNFINISHED_MIN = 60
FIELDS = {rig.MAX_ATTEMPTS: 1000, rig.BACKOFF: [1, 1000, 1, 0]}
# Each attempt leaves a file named by task, token and process, which tells that it began; a process
# of the background shows whether the whole group is ended. The command takes a while.
SCRIPT = """
task=$(cat)
sleep 300 &
echo "$$ $!" > "$RUNS/$JACK_TASK_ID.$JACK_TOKEN.new"
mv "$RUNS/$JACK_TASK_ID.$JACK_TOKEN.new" "$RUNS/$JACK_TASK_ID.$JACK_TOKEN"
read -t 0.05 nothing < "$GATE"
kill $!
echo "$task by $JACK_TOKEN"
"""


def is_alive(process):
    """Whether it runs; a zombie does not."""
    try:
        text = pathlib.Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # gone before the look, or amid it
        return False
    return text.rpartition(")")[2].split()[0] not in ("Z", "X")


def wait_until_gone(process, end):
    """False where it is still there at the deadline."""
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        return not is_alive(process) or bool(select.select([descriptor], [], [], rig.left(end))[0])
    finally:
        os.close(descriptor)


class KillWorker(rig.CrashTest):
    def setUp(self):
        super().setUp()
        print(f"seed {SEED}: JACK_SEED={SEED} repeats it, JACK_KILLS changes the number", flush=True)
        self.dice = random.Random(SEED)
        self.runs = self.folder / "runs"
        self.runs.mkdir()
        self.stay = self.gate("stay")
        self.engine_process = self.serve()
        self.client = self.peer(self.engine_process, "submitter")
        self.submitted = {}

    def start_worker(self):
        environment = rig.environment_for(self.data_dir, RUNS=self.runs, GATE=self.stay.path)
        worker = subprocess.Popen(
            [str(rig.JACK), "work", "flow", "-j", "4", "--lease", "1s", "--", "bash", "-c", SCRIPT],
            cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.processes.append(worker)
        return worker

    def submit(self, count):
        specs = []
        for _ in range(count):
            task = rig.new_id()
            payload = rig.text_of(task).encode()
            self.submitted[task] = payload
            specs.append(rig.spec(task, "flow", payload, FIELDS))
        self.assertEqual(self.client.items(rig.SUBMIT, specs), [rig.OK] * count)

    def commands(self):
        """The processes of all attempts that have said that they began."""
        for run in self.runs.iterdir():
            if not run.name.endswith(".new"):
                yield from ((run.name, int(process)) for process in run.read_text().split())

    def check_books(self):
        books = self.client.books("flow")
        self.assertEqual(books.keys(), self.submitted.keys())
        lost = 0
        for task, (_, status) in books.items():
            state, result, _ = self.client.result(task)
            self.assertEqual(state, rig.SUCCEEDED)
            self.assertEqual(result.decode(), f"{rig.text_of(task)} by {status.token}\n")
            outcomes = [attempt[1] for attempt in status.attempts]
            self.assertEqual(outcomes.count(rig.OUTCOME_SUCCEEDED), 1, outcomes)
            self.assertEqual(outcomes[-1], rig.OUTCOME_SUCCEEDED)
            # The history keeps the last 16.
            self.assertEqual(len(outcomes), min(status.attempt, 16))
            self.assertEqual(set(outcomes[:-1]) - {rig.OUTCOME_LOST}, set())
            tokens = [name for name in self.runs.glob(f"{rig.text_of(task)}.*")]
            self.assertLessEqual(len(tokens), status.attempt, "a command ran that was not counted")
            lost += status.attempt - 1
        return lost

    def test_every_task_succeeds_once_however_often_its_worker_is_killed(self):
        killed_at_work = 0
        for _ in range(KILLS):
            if int(self.client.call(rig.INFO)[0]["tasks"]) < UNFINISHED_MIN:
                self.submit(self.dice.choice([1, 5, 20]))
            worker = self.start_worker()
            try:
                worker.wait(self.dice.uniform(0.05, 0.45))
                self.fail(f"the worker ended with {worker.returncode}")
            except subprocess.TimeoutExpired:
                worker.kill()
            worker.wait()
            end = rig.deadline(10)
            for name, process in list(self.commands()):
                if is_alive(process):
                    killed_at_work += 1
                self.assertTrue(wait_until_gone(process, end), f"{name} outlived its worker")
        worker = self.start_worker()
        for task in self.submitted:
            state = self.client.call(rig.WAIT, task, rig.PATIENCE * 1000)[1]
            self.assertEqual(state, rig.SUCCEEDED)
        worker.terminate()
        self.assertEqual(worker.wait(rig.PATIENCE), 0)
        lost = self.check_books()
        print(f"{KILLS} kills, {len(self.submitted)} tasks, {lost} attempts lost")
        self.assertGreater(lost, KILLS // 2)
        self.assertEqual([name for name, process in self.commands() if is_alive(process)], [])


if __name__ == "__main__":
    rig.main()
