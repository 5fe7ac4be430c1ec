#!/usr/bin/python3
"""On a full disk new tasks are refused, running ones can be settled, and nothing accepted is lost.

    full_disk_test.py JACK FULL_DISK

The disk is a small tmpfs in a namespace of its own. Where the system does not allow such a thing,
FULL_DISK is preloaded into the engine, and answers for a disk that is full.
"""

import os
import pathlib
import shutil
import struct
import subprocess
import sys

import rig

DISK_BYTES = 256 << 20  # the engine keeps 64 MiB in reserve, and wants twice that free to be at ease
RUNNING = 200
INSIDE = "JACK_TEST_DISK"


class TmpfsDisk:
    """A real file system that this test fills with a file of its own."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.balloon = self.folder / "balloon"
        self.variables = {}

    def fill(self):
        with open(self.balloon, "ab", buffering=0) as balloon:
            try:
                while balloon.write(bytes(64 << 10)):
                    pass
            except OSError:
                pass

    def empty(self):
        self.balloon.unlink(missing_ok=True)


class PreloadedDisk:
    """A disk whose room is what a file says, to the engine."""

    def __init__(self, folder, library):
        self.room = pathlib.Path(folder) / "room"
        self.empty()
        self.variables = {"LD_PRELOAD": library, "JACK_FULL_DISK": self.room}

    def fill(self):
        self.write(0)

    def empty(self):
        self.write(-1)

    def write(self, room):
        with open(self.room, "r+b" if self.room.exists() else "xb") as file:
            file.write(struct.pack("q", room))


class FullDisk(rig.CrashTest):
    def setUp(self):
        super().setUp()
        if INSIDE in os.environ:
            self.disk = TmpfsDisk(os.environ[INSIDE])
            self.data_dir = self.disk.folder / "data"
            self.addCleanup(shutil.rmtree, self.data_dir, ignore_errors=True)
        else:
            self.disk = PreloadedDisk(self.folder, rig.EXTRAS[0])
        self.addCleanup(self.disk.empty)
        self.serving = self.engine()
        self.restart(self.serving)
        self.accepted = {}

    def restart(self, engine):
        if not engine.start(**self.disk.variables):
            self.fail(f"the engine ended with {engine.process.returncode}: {engine.said()}")

    def submit(self, client, size=1000):
        """The code of one more submit; what is accepted is remembered."""
        task = rig.new_id()
        payload = os.urandom(size)
        try:
            code = client.items(rig.SUBMIT, [rig.spec(task, "q", payload)])[0]
        except rig.Refused as refused:
            code = refused.code
        if code == rig.OK:
            self.accepted[task] = payload
        return code

    def submit_until(self, client, wanted, size=1000):
        """Submits until the answer is this code."""
        end = rig.deadline()
        while (code := self.submit(client, size)) != wanted:
            self.assertIn(code, (rig.OK, rig.STORAGE_FULL))
            self.assertGreater(rig.left(end), 0, f"still code {code}")
            client.receive(0.01)

    def run_some(self):
        """A worker's leases on tasks that are running."""
        client = self.peer(self.serving, "client")
        for _ in range(RUNNING):
            self.assertEqual(self.submit(client), rig.OK)
        worker = self.peer(self.serving, "worker")
        return client, worker, worker.claim("q", RUNNING, lease_ms=600_000)

    def settle(self, worker, claimed):
        for task, token, _ in claimed:
            self.assertEqual(worker.succeed(task, token, task * 10), rig.OK)

    def check_books(self, settled):
        reader = self.peer(self.serving, "reader")
        books = reader.books()
        self.assertEqual(books.keys(), self.accepted.keys())
        for task, _, _ in settled:
            self.assertEqual(reader.result(task), (rig.SUCCEEDED, task * 10, ""))
        for task, payload in self.accepted.items():
            self.assertEqual(rig.unpack(reader.call(rig.GET, task, True)[0])[2], payload)
        reader.close()

    def test_submits_are_refused_and_settles_are_kept_until_there_is_room_again(self):
        client, worker, claimed = self.run_some()
        self.disk.fill()
        self.submit_until(client, rig.STORAGE_FULL, size=100_000)
        refused = self.run_jack("submit", "q", "payload")
        self.assertEqual((refused.returncode, refused.stdout), (4, b""))
        self.assertIn("disk is full", refused.stderr.decode())

        self.settle(worker, claimed[:RUNNING // 2])
        self.assertEqual(self.submit(client), rig.STORAGE_FULL)
        self.check_books(claimed[:RUNNING // 2])

        self.disk.empty()
        self.submit_until(client, rig.OK)
        self.settle(worker, claimed[RUNNING // 2:])
        self.check_books(claimed)
        self.assertEqual(self.serving.stop(), 0)
        self.assertEqual(self.doctor()[0], 0)
        self.restart(self.serving)
        self.check_books(claimed)

    def test_an_engine_starts_on_a_disk_that_others_have_filled(self):
        """It ended with an I/O error: there was no room for the index of the store's WAL."""
        client, worker, claimed = self.run_some()
        self.assertEqual(self.serving.stop(), 0)
        self.disk.fill()
        self.restart(self.serving)
        self.check_books([])
        self.assertEqual(self.submit(self.peer(self.serving, "client")), rig.STORAGE_FULL)

    def test_an_engine_that_is_killed_on_a_full_disk_starts_on_it(self):
        client, worker, claimed = self.run_some()
        self.disk.fill()
        self.submit_until(client, rig.STORAGE_FULL, size=100_000)
        self.settle(worker, claimed[:50])
        for end in (self.serving.kill, self.serving.kill, self.serving.stop):
            end()
            self.restart(self.serving)
            self.check_books(claimed[:50])
        client, worker = self.peer(self.serving, "client"), self.peer(self.serving, "worker")
        self.assertEqual(self.submit(client), rig.STORAGE_FULL)
        self.settle(worker, claimed[50:100])

        self.disk.empty()
        self.submit_until(client, rig.OK)
        self.settle(worker, claimed[100:])
        self.check_books(claimed)

    def test_a_disk_that_is_full_and_empty_in_turns_loses_nothing(self):
        client, worker, claimed = self.run_some()
        for turn in range(5):
            self.disk.fill()
            self.submit_until(client, rig.STORAGE_FULL, size=50_000)
            self.settle(worker, claimed[turn * 20:turn * 20 + 20])
            self.disk.empty()
            self.submit_until(client, rig.OK)
        self.serving.kill()
        self.restart(self.serving)
        self.check_books(claimed[:100])


def run_inside():
    """The same tests once more on a tmpfs, or None where there can be none."""
    folder = pathlib.Path(rig.tempfile.mkdtemp(prefix="jack-disk-"))
    mount = f'mount -t tmpfs -o size={DISK_BYTES} tmpfs "$1" && shift && exec "$@"'
    def inside(*command, **options):
        return subprocess.run(
            ["unshare", "-Urm", "sh", "-c", mount, "sh", str(folder), *command],
            stdin=subprocess.DEVNULL, check=False, **options,
        ).returncode  # fmt: skip
    try:
        if inside("true", stderr=subprocess.DEVNULL) != 0:
            return None
        return inside(sys.executable, *sys.argv, env=os.environ | {INSIDE: str(folder)})
    finally:
        folder.rmdir()


if __name__ == "__main__":
    if INSIDE not in os.environ:
        status = run_inside()
        if status is not None:
            sys.exit(status)
        print("no tmpfs of its own is allowed here; the engine is told that its disk is full", flush=True)
    rig.main()
