"""Kubernetes Events."""

from datetime import UTC, datetime, timedelta

from lambent.adapters.kube.events import EventRecorder, Happening, Regarding

REGARDING = Regarding("lambent.dev/v1alpha1", "Function", "a", "f", "uid-1")
HAPPENING = Happening(REGARDING, "Warning", "QuotaExceeded", "no room", "Reconcile")


class Clock:
    def __init__(self):
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self):
        return self.now


async def test_the_same_thing_is_one_event_with_a_count_written_once_a_minute(api):
    """Repetition costs a write a minute at most."""
    clock = Clock()
    recorder = EventRecorder(api.client, "lambent-controller", "pod-1", clock)
    for _ in range(30):
        await recorder.record(HAPPENING)
        clock.now += timedelta(seconds=10)
    [event] = api.under("/events")
    assert event["reason"] == "QuotaExceeded"
    assert event["regarding"] == {
        "apiVersion": "lambent.dev/v1alpha1",
        "kind": "Function",
        "namespace": "a",
        "name": "f",
        "uid": "uid-1",
    }
    assert event["series"]["count"] >= 24
    assert len(api.writes("/events")) == 1 + 4


async def test_another_note_is_another_event(api):
    """What is said differs, so it is said."""
    recorder = EventRecorder(api.client, "lambent-controller", "pod-1")
    await recorder.record(HAPPENING)
    await recorder.record(Happening(REGARDING, "Warning", "QuotaExceeded", "still no room", "Reconcile"))
    assert len(api.under("/events")) == 2


async def test_long_notes_are_cut(api):
    """The API server refuses more than 1,024 characters."""
    recorder = EventRecorder(api.client, "lambent-controller", "pod-1")
    await recorder.record(Happening(REGARDING, "Normal", "Available", "x" * 5000, "Reconcile"))
    assert len(api.under("/events")[0]["note"]) == 1024


async def test_an_event_that_cannot_be_written_stops_nobody(api):
    """Best effort, in both directions."""
    recorder = EventRecorder(api.client, "lambent-controller", "pod-1")
    api.fail("POST", "/events", status=403, reason="Forbidden")
    await recorder.record(HAPPENING)
    api.fail("POST", "/events", status=503)
    await recorder.record(HAPPENING)
    assert api.under("/events") == []
    await recorder.record(HAPPENING)
    assert len(api.under("/events")) == 1


async def test_a_collected_event_is_told_anew(api):
    """The API server keeps Events for an hour or less."""
    clock = Clock()
    recorder = EventRecorder(api.client, "lambent-controller", "pod-1", clock)
    await recorder.record(HAPPENING)
    api.objects.clear()
    for _ in range(3):
        clock.now += timedelta(seconds=61)
        await recorder.record(HAPPENING)
    assert len(api.under("/events")) == 1
