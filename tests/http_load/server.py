"""A `jack serve` of one data directory: started, killed, started again, and measured meanwhile.

Nothing here waits by sleeping: it waits for the ready line or for the end of the process.
"""

import json
import os
import pathlib
import select
import subprocess
import urllib.parse

# Longer than anything takes on a machine that is busy with other things. Only a test that fails
# waits as long.
PATIENCE = 60

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def environment():
    """One that knows of no other engine."""
    return {name: text for name, text in os.environ.items() if not name.startswith("JACK_")}


class Server:
    def __init__(self, jack, folder):
        self.jack = pathlib.Path(jack).resolve()
        self.data_dir = pathlib.Path(folder) / "data"
        self.log = pathlib.Path(folder) / "serve.log"
        self.process = None
        self.host, self.port = None, None

    def start(self):
        """Returns once it answers."""
        arguments = ["serve", "--data-dir", str(self.data_dir), "--http", "127.0.0.1:0", "--json"]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(self.jack), *arguments],
                cwd=self.log.parent,
                env=environment(),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        can_be_read, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
        ready = self.process.stdout.readline() if can_be_read else b""
        if not ready.endswith(b"\n"):
            self.kill()
            raise AssertionError(f"no server: {self.said()}")
        url = urllib.parse.urlsplit(json.loads(ready)["http"][0])
        self.host, self.port = url.hostname, url.port

    def kill(self):
        self.process.kill()
        return self.end()

    def stop(self):
        """Ends it in order."""
        self.process.terminate()
        status = self.end()
        assert status == 0, f"it ended with {status}: {self.said()}"

    def end(self):
        """Its status, once it has ended."""
        status = self.process.wait(PATIENCE)
        self.process.stdout.close()
        self.process = None
        return status

    def close(self):
        if self.process is not None:
            self.kill()

    def said(self, bytes_max=4000):
        """The end of its log."""
        return self.log.read_bytes()[-bytes_max:].decode(errors="replace")

    # --- Measures ---

    def memory_bytes(self):
        for line in self.about("status").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmRSS")

    def cpu_seconds(self):
        fields = self.about("stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def about(self, name):
        return pathlib.Path(f"/proc/{self.process.pid}/{name}").read_text()

    def holds(self, client_port):
        """Whether it still has its end of the connection from this port."""
        ours = f"0100007F:{self.port:04X}", f"0100007F:{client_port:04X}"
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if tuple(fields[1:3]) == ours:
                return fields[9] != "0"  # the inode: 0 once no process has it open
        return False
