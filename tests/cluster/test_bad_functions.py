"""Bad input gets a clear error in Lambda's own words, through a real pod, and the next request is served."""

from __future__ import annotations

import time

import pytest
from driving import eventually, zipped


@pytest.fixture(params=["Zip", "Image"])
def any_driver(request, driver):
    """The same function as a package for the managed runtime, and in a user's own image."""
    if request.param == "Image":
        driver.image_uri = request.getfixturevalue("registry").reference("sample/python")
    return driver


def test_a_handler_that_does_not_import_says_so(any_driver):
    driver = any_driver
    name = driver.function("import no_such_module\ndef handler(e, c): pass\n")
    for _ in range(2):
        answer = driver.invoke(name)
        assert answer.error == "Unhandled"
        assert answer.json["errorType"] == "Runtime.ImportModuleError"
        assert "No module named 'no_such_module'" in answer.json["errorMessage"]


def test_a_handler_that_raises_answers_with_its_exception(any_driver):
    driver = any_driver
    name = driver.function("def handler(e, c):\n    raise ValueError('bad ' + e['what'])\n")
    answer = driver.invoke(name, {"what": "luck"})
    assert answer.error == "Unhandled"
    assert answer.json["errorType"] == "ValueError"
    assert answer.json["errorMessage"] == "bad luck"
    assert "bad luck" in answer.log
    assert driver.invoke(name, {"what": "again"}).json["errorMessage"] == "bad again"


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "Runtime exited without providing a reason"), (7, "Runtime exited with error: exit status 7")],
)
def test_a_handler_that_exits_is_an_exit_error_and_the_environment_recovers(any_driver, code, words):
    driver = any_driver
    name = driver.function(
        f"import os\ndef handler(e, c):\n    if e.get('exit'): os._exit({code})\n    return 'fine'\n"
    )
    answer = driver.invoke(name, {"exit": True})
    assert answer.error == "Unhandled"
    request_id = answer.headers["x-amzn-requestid"]
    assert answer.json == {"errorType": "Runtime.ExitError", "errorMessage": f"RequestId: {request_id} Error: {words}"}
    assert driver.invoke(name).json == "fine"


def test_a_module_that_exits_at_import_is_an_exit_error(any_driver):
    driver = any_driver
    name = driver.function("import os\nos._exit(3)\ndef handler(e, c): pass\n")
    answer = driver.invoke(name)
    assert answer.json["errorType"] == "Runtime.ExitError"
    assert answer.json["errorMessage"].endswith("Runtime exited with error: exit status 3")


def test_a_handler_that_hangs_is_stopped_at_its_timeout_and_tmp_survives(any_driver):
    driver = any_driver
    name = driver.function(
        """
        import os, pathlib, time
        def handler(event, context):
            kept = pathlib.Path("/tmp/kept")
            if event.get("hang"):
                kept.write_text("yes")
                time.sleep(60)
            return {"pid": os.getpid(), "kept": kept.exists()}
        """,
        timeout=2,
    )
    before = driver.invoke(name).json
    answer = driver.invoke(name, {"hang": True})
    request_id = answer.headers["x-amzn-requestid"]
    assert answer.error == "Unhandled"
    assert answer.json == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {request_id} Error: Task timed out after 2.00 seconds",
    }
    assert "Task timed out after 2.00 seconds" in answer.log
    after = driver.invoke(name).json
    assert after["kept"] is True
    assert after["pid"] != before["pid"]
    assert len(driver.pods(name)) == 1


def test_what_json_cannot_carry_is_a_marshal_error(any_driver):
    driver = any_driver
    name = driver.function("def handler(e, c): return {1, 2}\n")
    answer = driver.invoke(name)
    assert answer.error == "Unhandled"
    assert answer.json["errorType"] == "Runtime.MarshalError"


def test_an_answer_over_six_megabytes_is_refused_with_lambdas_words(any_driver):
    driver = any_driver
    name = driver.function("def handler(e, c): return 'x' * e['n']\n")
    answer = driver.invoke(name, {"n": 6_291_555})
    assert answer.error == "Unhandled"
    assert answer.json == {
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        "errorType": "Function.ResponseSizeTooLarge",
    }
    assert driver.invoke(name, {"n": 6_291_554}).error is None
    assert driver.invoke(name, {"n": 1}).json == "x"


def test_a_request_over_six_megabytes_is_refused_with_lambdas_words(any_driver):
    driver = any_driver
    name = driver.function("def handler(e, c): return len(e)\n")
    with pytest.raises(driver.client.exceptions.ClientError) as refused:
        driver.invoke(name, b'"' + b"x" * 6_291_456 + b'"')
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413
    assert refused.value.response["Error"]["Code"] == "RequestEntityTooLargeException"
    assert driver.invoke(name, b'"' + b"x" * 6_291_454 + b'"').json == 6_291_454


def test_a_body_that_is_not_json_is_refused(any_driver):
    driver = any_driver
    name = driver.function("def handler(e, c): return e\n")
    with pytest.raises(driver.client.exceptions.InvalidRequestContentException, match="Could not parse request body"):
        driver.invoke(name, b"{not json")


@pytest.mark.parametrize("entry", ["../evil", "/etc/evil", "a/../../evil"])
def test_a_zip_that_escapes_is_refused_and_a_better_one_heals_the_function(driver, entry):
    name = driver.apply(
        handler="app.run", code={"zipFile": zipped({"app.py": "def run(e, c): return 1\n", entry: "boo"})}
    )
    stalled = eventually(lambda: driver.condition(name, "Stalled"))
    assert stalled["status"] == "True"
    assert stalled["reason"] == "InvalidCode"
    assert entry in stalled["message"]
    assert driver.condition(name, "Ready")["status"] == "False"
    assert not driver.pods(name)
    driver.function(name=name, handler="app.run", code={"zipFile": zipped({"app.py": "def run(e, c): return 1\n"})})
    assert driver.invoke(name).json == 1


@pytest.mark.parametrize(("text", "why"), [("aGVsbG8=", "Could not unzip uploaded file"), ("PK!", "not base64")])
def test_what_is_not_a_zip_is_refused(driver, text, why):
    name = driver.apply(handler="app.run", code={"zipFile": text})
    stalled = eventually(lambda: driver.condition(name, "Stalled"))
    assert why in stalled["message"]


def test_an_image_that_does_not_exist_is_named_in_the_error(driver):
    name = driver.function("def handler(e, c): return 1\n", runtime="python3.10")
    with pytest.raises(driver.client.exceptions.ServiceException) as failed:
        driver.invoke(name)
    assert "does-not-exist" in str(failed.value)
    healthy = eventually(lambda: (c := driver.condition(name, "EnvironmentsHealthy")).get("status") == "False" and c)
    assert healthy["reason"] == "ImagePullFailed"


def test_an_environment_that_fits_no_node_is_named_in_the_error(any_driver):
    driver = any_driver
    name = driver.function("def handler(e, c): return 1\n", placement={"nodeSelector": {"no-such": "node"}})
    with pytest.raises(driver.client.exceptions.ServiceException, match=r"(?i)unschedulable|nodes are available"):
        driver.invoke(name)


def test_a_role_without_a_service_account_is_named(any_driver):
    driver = any_driver
    name = driver.function("def handler(e, c): return 1\n", role="no-such-account")
    with pytest.raises(driver.client.exceptions.ServiceException, match="no-such-account"):
        driver.invoke(name)


def test_a_runtime_that_is_not_installed_stalls_with_lambdas_words(driver):
    name = driver.apply("def handler(e, c): return 1\n", runtime="python3.14")
    stalled = eventually(lambda: driver.condition(name, "Stalled"))
    assert stalled["reason"] == "RuntimeNotInstalled"
    assert "at 'runtime' failed to satisfy constraint: Member must satisfy enum value set" in stalled["message"]
    with pytest.raises(driver.client.exceptions.ResourceConflictException, match="Failed"):
        driver.invoke(name)


def test_two_functions_of_one_name_leave_the_older_in_charge(any_driver):
    driver = any_driver
    older = driver.function("def handler(e, c): return 'older'\n", functionName="shared_Name")
    time.sleep(1.1)  # creation times have a resolution of a second
    younger = driver.apply("def handler(e, c): return 'younger'\n", functionName="shared_Name")
    stalled = eventually(lambda: driver.condition(younger, "Stalled"))
    assert stalled["reason"] == "DuplicateFunctionName"
    assert driver.invoke("shared_Name").json == "older"
    driver.delete(older)
    eventually(lambda: driver.condition(younger, "Ready").get("status") == "True")
    assert eventually(lambda: driver.invoke("shared_Name").json == "younger")
