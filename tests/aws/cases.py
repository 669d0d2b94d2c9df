"""What is asked of both sides: names are sentences' subjects, values are the calls that the runtime makes."""

from __future__ import annotations

NEXT = "/2018-06-01/runtime/invocation/next"
RESPONSE = "/2018-06-01/runtime/invocation/{id}/response"
ERROR = "/2018-06-01/runtime/invocation/{id}/error"
INIT_ERROR = "/2018-06-01/runtime/init/error"
REGISTER = "/2020-01-01/extension/register"
EXTENSION_NEXT = "/2020-01-01/extension/event/next"
EXTENSION_INIT_ERROR = "/2020-01-01/extension/init/error"
EXTENSION_EXIT_ERROR = "/2020-01-01/extension/exit/error"
NOBODY = "01234567-89ab-cdef-0123-456789abcdef"


def get(path: str, **headers: str) -> dict:
    """A call without a body; header names with `_` for `-`."""
    return {"method": "GET", "path": path, "headers": _named(headers)}


def post(path: str, body: str = "", **headers: str) -> dict:
    """A call with one."""
    return {"method": "POST", "path": path, "headers": _named(headers), "body": body}


def register(name: str | None, body: str = '{"events":["INVOKE"]}') -> dict:
    """An extension of the runtime's own process."""
    return post(REGISTER, body, **({} if name is None else {"Lambda_Extension_Name": name}))


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


OK = post(RESPONSE, '"ok"')
_FAILED = '{"errorMessage":"m","errorType":"T","stackTrace":["a"],"cause":1}'
_CAUSE = {"Content_Type": "application/vnd.aws.lambda.error.cause+json"}
_STREAMING = {"Lambda-Runtime-Function-Response-Mode": "streaming"}

RUNTIME: dict[str, list[dict]] = {
    "a response": [OK],
    "an empty response": [post(RESPONSE)],
    "a response that is no JSON": [post(RESPONSE, "not json <>")],
    "a chunked response": [{"method": "POST", "path": RESPONSE, "chunks": ["ab", "cd"]}],
    "a streamed response": [{"method": "POST", "path": RESPONSE, "chunks": ["ab", "cd"], "headers": _STREAMING}],
    "the largest response": [{"method": "POST", "path": RESPONSE, "bodyBytes": 6_291_556}],
    "a response one byte too large": [{"method": "POST", "path": RESPONSE, "bodyBytes": 6_291_557}],
    "an error": [post(ERROR, _FAILED, Lambda_Runtime_Function_Error_Type="Runtime.Bad")],
    "an error without a type": [post(ERROR, '{"errorMessage":"m"}')],
    "an error with a cause": [post(ERROR, _FAILED, **_CAUSE)],
    "an error with a cause that is no JSON": [post(ERROR, "nonsense", **_CAUSE)],
    "a response for another request": [post(RESPONSE.replace("{id}", "other"), "1"), OK],
    "an error for another request": [post(ERROR.replace("{id}", "other"), "{}"), OK],
    "two responses": [OK, OK],
    "an error after a response": [OK, post(ERROR, "{}")],
    "a response after an error": [post(ERROR, "{}"), OK],
    "an init error while running": [post(INIT_ERROR, "{}"), OK],
    "next before an answer": [get(NEXT), get(NEXT), OK],
    "a ping": [get("/2018-06-01/ping"), OK],
    "paths that do not exist": [get("/"), get("/2018-06-01/x"), get("/2018-06-01/runtime/invocation"), OK],
    "methods that do not exist": [post(NEXT), get(RESPONSE), get(ERROR), get(INIT_ERROR), OK],
    "restoring without SnapStart": [get("/2018-06-01/runtime/restore/next"), get("/2021-04-23/credentials"), OK],
    "an extension that comes too late": [register("late"), OK],
    "next of no extension": [get(EXTENSION_NEXT), OK],
    "next of a malformed extension": [get(EXTENSION_NEXT, Lambda_Extension_Identifier="x"), OK],
    "next of an unknown extension": [get(EXTENSION_NEXT, Lambda_Extension_Identifier=NOBODY), OK],
    "errors of no extension": [post(EXTENSION_INIT_ERROR, "{}"), post(EXTENSION_EXIT_ERROR, "{}"), OK],
    "errors of an unknown extension": [
        post(path, "{}", Lambda_Extension_Identifier=NOBODY, Lambda_Extension_Function_Error_Type="Extension.Bad")
        for path in (EXTENSION_INIT_ERROR, EXTENSION_EXIT_ERROR)
    ]
    + [OK],
    "errors without a type": [
        post(path, "{}", Lambda_Extension_Identifier=NOBODY) for path in (EXTENSION_INIT_ERROR, EXTENSION_EXIT_ERROR)
    ]
    + [OK],
    "methods of the Extensions API that do not exist": [get(REGISTER), post(EXTENSION_NEXT), OK],
}

INIT: dict[str, list[dict]] = {
    "an internal extension": [register("inside")],
    "an extension without events": [register("quiet", '{"events":null}'), register("quieter", '{"events":[]}')],
    "a registration without a name": [register(None)],
    "a registration with an empty name": [register("")],
    "a registration that is no JSON": [register("bad", "nonsense")],
    "a registration without a body": [register("bad", "")],
    "a registration with configuration keys": [register("old", '{"events":[],"configurationKeys":["a"]}')],
    "SHUTDOWN for an internal extension": [register("inside", '{"events":["INVOKE","SHUTDOWN"]}')],
    "an event that does not exist": [register("inside", '{"events":["DANCE"]}')],
    "a name that is taken": [register("twin"), register("twin")],
    "ten extensions and one more": [register(f"one of many {number}") for number in range(11)],
    "a response during init": [post(RESPONSE.replace("{id}", "none"), "1"), post(ERROR.replace("{id}", "none"), "{}")],
}
"""Before the first event; internal extensions that never ask for next would keep an invocation from ending."""

ENDS: dict[str, dict] = {
    "exits with 0": {"then": "exit 0"},
    "exits with 3": {"then": "exit 3"},
    "is killed": {"then": "signal 9"},
    "breaks down": {"then": "signal 11"},
    "answers and then exits": {"calls": [OK], "then": "exit 1"},
    "takes too long": {"then": "sleep 30"},
}
