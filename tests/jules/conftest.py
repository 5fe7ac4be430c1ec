"""The old API, as those see it who call it: `jack serve` in the place of the earlier server.

    python3 -m pytest -p no:cacheprovider tests/jules --jack build/jack
"""

import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support_py"))
# So that their failures show values too.
pytest.register_assert_rewrite("jack_server", "jules_server")

from jules_server import Server  # noqa: E402


def pytest_addoption(parser):
    parser.addoption("--jack", required=True, metavar="PATH", help="the program under test")


@pytest.fixture
def idle_server(request, tmp_path):
    """A server that a test starts by itself, and that has ended in order when the test has."""
    server = Server(request.config.getoption("--jack"), tmp_path)
    yield server
    server.close()
    shutil.rmtree(tmp_path)  # pytest would keep the reserve of each, 64 MiB, over three runs


@pytest.fixture
def server(idle_server):
    """A server with an empty data directory and without keys."""
    idle_server.start()
    return idle_server


@pytest.fixture
def jules(server):
    """Somebody who calls the server."""
    return server.client()
