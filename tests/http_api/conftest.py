"""The API, as its clients see it: `jack serve`, called by HTTP.

    python3 -m pytest -p no:cacheprovider tests/http_api --jack build/jack

Each answer is held against the OpenAPI document, whatever the test is about.
"""

import itertools
import json
import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "support_py"))
# So that their failures show values too.
pytest.register_assert_rewrite("jack_server", "api_client", "api_document", "event_stream")

from api_client import Client  # noqa: E402
from api_document import IN_REPOSITORY, Document  # noqa: E402
from jack_server import Server  # noqa: E402

LAST = "test_document_coverage.py"


def pytest_addoption(parser):
    parser.addoption("--jack", required=True, metavar="PATH", help="the program under test")


def pytest_collection_modifyitems(config, items):
    """What looks back on all tests comes last, and is left out where not all of them run."""
    last = [item for item in items if item.path.name == LAST]
    others = [item for item in items if item.path.name != LAST]
    files = {path.name for path in pathlib.Path(__file__).parent.glob("test_*.py")} - {LAST}
    is_whole = files == {item.path.name for item in others} and not config.option.keyword
    if others and not is_whole:
        config.hook.pytest_deselected(items=last)
        last = []
    items[:] = others + last


@pytest.fixture(scope="session")
def document():
    """The document that answers are held against: the one place that says where it comes from."""
    return Document(json.loads(IN_REPOSITORY.read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def shared_server(request, tmp_path_factory):
    """A server without keys, for tests that keep to queues of their own."""
    server = Server(request.config.getoption("--jack"), tmp_path_factory.mktemp("shared"))
    server.start()
    yield server
    server.close()


@pytest.fixture
def idle_server(request, tmp_path):
    """A server that a test starts by itself, and that has ended in order when the test has."""
    server = Server(request.config.getoption("--jack"), tmp_path)
    yield server
    server.close()
    shutil.rmtree(tmp_path)  # pytest would keep the reserve of each, 64 MiB, over three runs


@pytest.fixture
def own_server(idle_server):
    """A server without keys, which a test may stop and start."""
    idle_server.start()
    return idle_server


@pytest.fixture
def api(shared_server, document):
    """Somebody who calls the shared server."""
    return Client(shared_server, document)


@pytest.fixture
def own_api(own_server, document):
    """Somebody who calls a server that no other test knows."""
    return Client(own_server, document)


_numbers = itertools.count(1)


@pytest.fixture
def queue():
    """The name of a queue that no other test knows."""
    return f"queue-{next(_numbers)}"


@pytest.fixture
def other_queue():
    return f"other-queue-{next(_numbers)}"
