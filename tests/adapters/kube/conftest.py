import pytest
from tests.adapters.kube.fake_api import FakeApi


@pytest.fixture
async def api():
    fake = await FakeApi().start()
    yield fake
    await fake.stop()
