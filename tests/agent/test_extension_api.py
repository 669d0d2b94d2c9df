"""The Extensions API as an extension sees it. The test is the extension: the processes in its place only sleep."""

import asyncio
import json

import pytest
from tests.agent.driving import Answer, Caller, claim_of, zipped

from lambent.agent.extension_states import Extension, ExtensionRefusal, ExtensionState, Roster
from lambent.agent.extensions import Extensions
from lambent.agent.protocol import names
from lambent.agent.protocol.states import State

PREFIX = b"/2020-01-01/extension/"
NEXT = PREFIX + b"event/next"
RUNTIME_NEXT = b"/2018-06-01/runtime/invocation/next"
RESPONSE = b"/2018-06-01/runtime/invocation/%b/response"
SLEEP = "#!/bin/sh\nexec sleep 1000\n"
NOBODY = "00000000-0000-4000-8000-000000000000"


class Party(Caller):
    """One connection of a runtime or an extension."""

    async def speak(self, method: bytes, path: bytes, body: bytes = b"", **headers) -> Answer:
        return await self.call(method, path, body, token=None, owner=None, **headers)

    async def register(self, name: str, *events: str, **headers) -> str:
        body = json.dumps({"events": events}).encode()
        answer = await self.speak(b"POST", PREFIX + b"register", body, Lambda_Extension_Name=name, **headers)
        assert answer.status == 200, answer
        return answer.headers[b"lambda-extension-identifier"].decode()

    def ask(self, identifier: str) -> None:
        self.send(b"GET", NEXT, token=None, owner=None, Lambda_Extension_Identifier=identifier)


class Stage:
    """An agent in its init: one external extension `outside` and a runtime, both played by the test."""

    def __init__(self, agent, caller):
        self.agent, self.caller = agent, caller

    async def party(self) -> Party:
        return Party(*await asyncio.open_connection("127.0.0.1", self.agent.runtime_port))

    async def idle(self) -> tuple[Party, Party, str]:
        """Runtime and extension wait: (runtime, extension, its identifier)."""
        extension, runtime = await self.party(), await self.party()
        identifier = await extension.register("outside", "INVOKE", "SHUTDOWN")
        extension.ask(identifier)
        runtime.send(b"GET", RUNTIME_NEXT, token=None, owner=None)
        assert json.loads((await self.caller.answer()).body)["state"] == "idle"
        return runtime, extension, identifier


@pytest.fixture
async def stage(start):
    agent = start(managed=False)
    folder = agent.opt_root / "extensions"
    folder.mkdir()
    (folder / "outside").write_text(SLEEP)
    (folder / "outside").chmod(0o755)
    caller = await agent.connect()
    claim = claim_of(zipped({"bootstrap": SLEEP}, ("bootstrap",)), runtime="provided.al2023", accountId="123456789012")
    caller.send(b"POST", names.CLAIM_PATH, claim.to_json())
    while "INIT_START" not in agent.log():
        await asyncio.sleep(0.005)
    return Stage(agent, caller)


def error(answer: Answer) -> tuple[int, str, str]:
    assert answer.headers[b"content-type"] == b"application/json"
    assert answer.body.endswith(b"\n")
    return answer.status, answer.json()["errorType"], answer.json()["errorMessage"]


PATHS = {
    "unknown": (b"GET", PREFIX + b"nothing", 404, b"404 page not found\n"),
    "GET register": (b"GET", PREFIX + b"register", 405, b""),
    "POST next": (b"POST", NEXT, 405, b""),
    "GET init error": (b"GET", PREFIX + b"init/error", 405, b""),
}

REGISTRATIONS = {
    "no name": ("", b'{"events":[]}', "Extension.InvalidExtensionName", "Empty extension name"),
    "no body": ("x", b"", "InvalidRequestFormat", "unexpected end of JSON input"),
    "no JSON": ("x", b"{", "InvalidRequestFormat", None),
    "deep JSON": ("x", b"[" * 100_000, "InvalidRequestFormat", None),
    "no object": ("x", b"[]", "InvalidRequestFormat", "the body must be a JSON object"),
    "no list": ("x", b'{"events":{"INVOKE":1}}', "InvalidRequestFormat", "events must be a list of strings"),
    "configuration keys": (
        "x",
        b'{"events":[],"configurationKeys":["a"]}',
        "InvalidRequestFormat",
        "configurationKeys are deprecated; use environment variables instead",
    ),
    "an unknown event": ("outside", b'{"events":["X"]}', "Extension.InvalidEventType", "X: ErrorInvalidEventType"),
    "SHUTDOWN for an internal one": (
        "inside",
        b'{"events":["SHUTDOWN"]}',
        "Extension.InvalidEventType",
        "SHUTDOWN: ShutdownEventNotSupportedForInternalExtension",
    ),
    "over the limit": ("x", b" " * 300_000, "InvalidRequestFormat", "the body is too large"),
}

IDENTIFIERS = {
    "none": (None, "Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header"),
    "no uuid": ("me", "Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier"),
    "nobody's": (NOBODY, "Extension.UnknownExtensionIdentifier", None),
}


async def test_every_mistake_is_answered_in_lambdas_words(stage):
    """403 with a type and a sentence; paths and methods as Go's mux; the extension may try again."""
    extension = await stage.party()
    for name, (method, path, status, body) in PATHS.items():
        answer = await extension.speak(method, path)
        assert (answer.status, answer.body) == (status, body), name
    for case, (name, body, error_type, message) in REGISTRATIONS.items():
        answer = await extension.speak(b"POST", PREFIX + b"register", body, Lambda_Extension_Name=name)
        status, got_type, got_message = error(answer)
        assert (status, got_type, got_message) == (403, error_type, message or got_message), case
    for case, (identifier, error_type, message) in IDENTIFIERS.items():
        headers = {} if identifier is None else {"Lambda_Extension_Identifier": identifier}
        answer = await extension.speak(b"GET", NEXT, **headers)
        assert error(answer) == (403, error_type, message or f"Unknown extension {NOBODY}"), case
        more = {**headers, "Lambda_Extension_Function_Error_Type": "Extension.X"}
        answer = await extension.speak(b"POST", PREFIX + b"init/error", **more)
        assert error(answer) == (403, error_type, message or "Unknown Lambda-Extension-Identifier"), case
    identifier = await extension.register("outside", "INVOKE")
    answer = await extension.speak(b"POST", PREFIX + b"exit/error", Lambda_Extension_Identifier=identifier)
    assert error(answer) == (403, "Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found")
    answer = await extension.speak(b"POST", PREFIX + b"register", b"{}", Lambda_Extension_Name="outside")
    assert error(answer) == (
        403,
        "Extension.InvalidExtensionState",
        "State transition from Registered to Registered failed for extension outside. "
        "Error: State transition is not allowed",
    )


async def test_a_registration_is_answered_with_the_function(stage):
    """accountId only for those that ask for it; a null list of events is none (Go's client sends it)."""
    extension = await stage.party()
    for name, headers, body, more in (
        ("inside", {}, b'{"events":null}', {}),
        ("other", {"Lambda_Extension_Accept_Feature": "x, accountId"}, b"{}", {"accountId": "123456789012"}),
    ):
        answer = await extension.speak(b"POST", PREFIX + b"register", body, Lambda_Extension_Name=name, **headers)
        assert answer.status == 200
        assert answer.json() == {
            **more,
            "functionName": "hello",
            "functionVersion": "$LATEST",
            "handler": "app.handler",
        }
    answer = await extension.speak(b"POST", PREFIX + b"register", b"{}", Lambda_Extension_Name="other")
    assert error(answer)[1:] == ("Extension.InvalidExtensionState", "Extension with this name already registered")


async def test_registration_closes_with_the_runtimes_first_next(stage):
    """Not before: internal extensions register while the runtime starts."""
    _runtime, _, _ = await stage.idle()
    late = await stage.party()
    answer = await late.speak(b"POST", PREFIX + b"register", b"{}", Lambda_Extension_Name="late")
    assert error(answer) == (403, "Extension.RegistrationClosed", "Extension registration closed already")


async def test_init_waits_for_internal_extensions_too(stage):
    """One that subscribes to nothing counts in init, and in no invocation."""
    outside, inside, runtime = await stage.party(), await stage.party(), await stage.party()
    identifier = await outside.register("outside")
    outside.ask(identifier)
    silent = await inside.register("inside")
    runtime.send(b"GET", RUNTIME_NEXT, token=None, owner=None)
    assert (await (await stage.agent.connect()).state()).state is State.INIT
    inside.ask(silent)
    assert json.loads((await stage.caller.answer()).body)["state"] == "idle"
    stage.caller.send_invoke(request_id="r1")
    assert (await runtime.answer()).status == 200
    assert (await runtime.speak(b"POST", RESPONSE % b"r1", b"1")).status == 202
    runtime.send(b"GET", RUNTIME_NEXT, token=None, owner=None)
    assert (await stage.caller.answer()).body == b"1"
    assert "EXTENSION\tName: inside\tState: Ready\tEvents: []\n" in await stage.agent.text()


async def test_a_second_next_is_refused_unless_the_first_has_hung_up(stage):
    """A lost connection is no lost event."""
    runtime, extension, identifier = await stage.idle()
    second = await stage.party()
    answer = await second.speak(b"GET", NEXT, Lambda_Extension_Identifier=identifier)
    assert error(answer) == (
        403,
        "Extension.InvalidExtensionState",
        f"State transition from Ready to Ready failed for extension {identifier}. "
        "Error: State transition is not allowed",
    )
    await extension.close()
    await extension.writer.wait_closed()
    await stage.caller.state()  # by then the agent has seen it too
    stage.caller.send_invoke(request_id="r1")
    await runtime.answer()
    second.ask(identifier)
    event = await second.answer()
    assert (event.status, event.json()["requestId"]) == (200, "r1")
    assert event.headers[b"lambda-extension-event-identifier"]


async def test_an_identifier_of_an_earlier_generation_is_unknown(stage):
    """After a reset extensions register anew."""
    _runtime, _extension, identifier = await stage.idle()
    stage.caller.send_invoke(request_id="r1", timeout_ms=50)
    assert (await stage.caller.answer()).json()["errorType"] == "Sandbox.Timedout"
    stranger = await stage.party()
    answer = await stranger.speak(b"GET", NEXT, Lambda_Extension_Identifier=identifier)
    assert error(answer)[1] == "Extension.UnknownExtensionIdentifier"


STEPS = {
    "started": (ExtensionState.STARTED, {"REGISTERED"}),
    "registered": (ExtensionState.REGISTERED, {"READY", "INIT_ERROR", "EXIT_ERROR"}),
    "ready": (ExtensionState.READY, {"EXIT_ERROR"}),
    "running": (ExtensionState.RUNNING, {"READY", "EXIT_ERROR"}),
    "init error": (ExtensionState.INIT_ERROR, {"INIT_ERROR"}),
    "exit error": (ExtensionState.EXIT_ERROR, {"EXIT_ERROR"}),
    "launch error": (ExtensionState.LAUNCH_ERROR, set()),
    "exited": (ExtensionState.EXITED, set()),
}


@pytest.mark.parametrize(("state", "allowed"), STEPS.values(), ids=STEPS)
def test_only_lambdas_steps_are_allowed(state, allowed):
    """Whatever else is asked for leaves the state as it was."""
    for wanted in ExtensionState:
        extension = Extension("x", "id", True, state)
        if wanted.name in allowed:
            extension.step(wanted, "x")
            assert extension.state is wanted
        else:
            with pytest.raises(ExtensionRefusal, match=f"from {state.value} to {wanted.value} failed"):
                extension.step(wanted, "x")
            assert extension.state is state


def test_ten_extensions_may_register():
    """External and internal together."""
    roster = Roster()
    roster.expect("outside", "0")
    for number in range(9):
        roster.register(f"inside-{number}", (), str(number + 1))
    with pytest.raises(ExtensionRefusal, match=r"Extension limit \(10\) reached") as refusal:
        roster.register("one-more", (), "11")
    assert refusal.value.error_type == "Extension.TooManyExtensions"
    assert roster.register("outside", ("INVOKE", "INVOKE"), "12").events == ("INVOKE",)


def test_an_orderly_end_has_lambdas_budgets():
    """500 ms for internal extensions only, 2 s with an external one."""
    extensions = Extensions(None, None, None)
    extensions.roster.register("inside", ("INVOKE",), "1")
    assert extensions.budget == 0.5
    extensions.roster.expect("outside", "2")
    assert extensions.budget == 2.0
