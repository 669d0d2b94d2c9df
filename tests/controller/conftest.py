import pytest
from tests.adapters.kube.fake_api import FakeApi
from tests.controller.rooms import Room


@pytest.fixture
async def api():
    fake = await FakeApi().start()
    yield fake
    await fake.stop()


@pytest.fixture
async def room(api):
    """A controller without its processes: store, board, shelf and reconciler over a fake API server."""
    return Room(api)
