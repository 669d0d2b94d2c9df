"""From request to answer, over real sockets, with a scripted agent behind a pod."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import uuid

import pytest
from tests.gateway.clusters import CODE, CODE_SHA256, condition, function, pod_of

from lambent.agent.protocol import names
from lambent.agent.protocol.owners import Owner
from lambent.agent.protocol.states import State
from lambent.model.environments import Key


async def test_a_warm_environment_answers_with_the_functions_bytes(house, hello):
    """The body is what the function wrote, not encoded anew, and the headers are Lambda's."""
    await house.agent(hello)
    await house.idle(hello)
    answer = await house.invoke(b'{"a":  1}')
    assert (answer.status, answer.body) == (200, b'{"a":  1}')
    assert answer.headers["X-Amz-Executed-Version"] == "$LATEST"
    assert answer.headers["X-Amzn-Remapped-Content-Length"] == "0"
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Amzn-Trace-Id"].startswith("Root=1-")
    assert "X-Amz-Function-Error" not in answer.headers
    assert "X-Amz-Log-Result" not in answer.headers


async def test_the_agent_hears_what_the_function_will_see(house, hello):
    """Request id, ARN as invoked, relative timeout, trace, client context and owner."""
    agent = await house.agent(hello)
    context = base64.b64encode(b'{"custom":{"a":"b"}}').decode()
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    answer = await house.invoke(
        name="hello%3A%24LATEST", X_Amzn_Trace_Id=trace, X_Amz_Client_Context=context, X_Amz_Log_Type="None"
    )
    headers = agent.invocations()[0].headers
    assert headers[names.REQUEST_ID_KEY].decode() == answer.headers["x-amzn-RequestId"]
    assert uuid.UUID(answer.headers["x-amzn-RequestId"]).version == 4
    assert headers[names.ARN_KEY].endswith(b":function:hello:$LATEST")
    assert headers[names.TIMEOUT_MS_KEY] == b"3000"
    assert headers[names.TRACE_ID_KEY].decode() == answer.headers["X-Amzn-Trace-Id"] == trace
    assert headers[names.CLIENT_CONTEXT_KEY].decode() == context
    assert Owner.from_header(headers[names.OWNER_KEY]).gateway == "gateway-b"
    assert headers[b"authorization"] == b"Bearer token"


async def test_a_claim_carries_configuration_and_small_code(house, hello):
    """One claim, its id the pod's UID, so that two gateways that overlap give the same one."""
    agent = await house.agent(hello)
    await house.idle(hello)
    claim = agent.claim
    assert (claim.claimId, claim.functionName, claim.version) == ("pod-uid-pod-1", "hello", "$LATEST")
    assert (claim.revision, claim.handler, claim.timeoutMs) == ("rev0000000000001", "index.handler", 3000)
    assert claim.env == {"STAGE": "test"}
    assert (claim.code.inline, claim.code.sha256) == (CODE, CODE_SHA256)
    assert claim.arn == f"arn:aws:lambda:us-east-1:{claim.accountId}:function:hello"
    assert len(agent.claims()) == 1


async def test_large_code_travels_by_signed_url(house):
    """Over the limit nothing is fetched here: the agent does it."""
    body = house.cluster.apply(function(status={"codeSize": 300_000}))
    agent = await house.agent(body)
    await house.idle(body)
    assert agent.claim.code.inline is None
    assert agent.claim.code.url.startswith(f"http://codes.test/v1/blobs/sha256/{CODE_SHA256}?exp=")
    assert house.cluster.fetched == []


async def test_layers_travel_as_code_does_while_there_is_room(house):
    """In their order: code first, then each layer that still fits into what a claim may carry; the others by URL."""
    blobs = [b"first" * 10, b"second" * 20]
    digests = [hashlib.sha256(blob) for blob in blobs]
    for digest, blob in zip(digests, blobs, strict=True):
        house.cluster.blobs[digest.hexdigest()] = blob
    sizes = [len(blobs[0]), 300_000, len(blobs[1])]
    layers = [
        {"arn": f"arn:{number}", "codeSha256": digest, "codeSize": size, "codeUnzippedSize": size}
        for number, (digest, size) in enumerate(
            zip(
                [
                    base64.b64encode(digests[0].digest()).decode(),
                    base64.b64encode(bytes(32)).decode(),
                    base64.b64encode(digests[1].digest()).decode(),
                ],
                sizes,
                strict=True,
            )
        )
    ]
    body = house.cluster.apply(function(status={"layers": layers}))
    agent = await house.agent(body)
    await house.idle(body)
    first, large, second = agent.claim.layers
    assert (agent.claim.code.inline, first.inline, second.inline) == (CODE, *blobs)
    assert (large.inline, large.size) == (None, 300_000)
    assert large.url.startswith(f"http://codes.test/v1/blobs/sha256/{'00' * 32}?exp=")


async def test_code_is_fetched_once_for_many_environments(house, hello):
    """Twenty cold starts of one package, one request to the code store."""
    for number in range(20):
        await house.agent(hello, f"pod-{number}")
    await house.idle(hello, 20)
    assert len(house.cluster.fetched) == 1


async def test_wrong_bytes_from_the_code_store_reach_no_environment(make_house):
    """The digest is verified by whoever reads; the environment is not claimed, the caller is told."""
    house = await make_house(cold_start=0.3)
    hello = house.cluster.apply(function())
    house.cluster.blobs[CODE_SHA256] = b"something else"
    agent = await house.agent(hello)
    answer = await house.invoke()
    assert answer.status == 500
    assert "another digest" in answer.json()["Message"]
    assert agent.claims() == []


async def test_a_function_error_is_200_with_its_header(house, hello):
    """The payload is the function's; the header says Unhandled."""
    await house.agent(hello)
    answer = await house.invoke({"do": "error"})
    assert (answer.status, answer.error) == (200, "Unhandled")
    assert answer.json()["errorType"] == "ValueError"


async def test_the_log_tail_comes_with_the_answer_when_asked_for(house, hello):
    """Log type Tail waits until the environment is idle; without it nobody waits."""
    await house.agent(hello)
    answer = await house.invoke({"do": "slow-next", "seconds": 0.05}, X_Amz_Log_Type="Tail")
    assert base64.b64decode(answer.headers["X-Amz-Log-Result"]) == b"START\nEND\nREPORT\n"
    answer = await house.invoke({"do": "slow-next", "seconds": 2})
    assert answer.status == 200
    assert house.pool(hello).in_flight == 1  # answered, but its environment is not idle yet


async def test_a_cold_request_waits_for_the_environment(house, hello):
    """It waits while the pod comes up, is claimed and initialises."""
    request = house.begin({"n": 1})
    await house.waiting(hello)
    await house.agent(hello, init_seconds=0.05)
    assert (await request).json() == {"n": 1}


async def test_an_agent_that_boots_late_is_dialled_until_it_listens(house, hello):
    """The pod runs before its agent listens: connection refused is no failure."""
    from tests.gateway.conftest import free_port
    from tests.gateway.fake_agents import FakeAgent

    agent = FakeAgent(port=free_port())
    house.agents.append(agent)
    house.cluster.run(hello, "pod-1", agent.port)
    request = house.begin({"n": 1})
    await asyncio.sleep(0.1)
    await agent.start()
    assert (await request).json() == {"n": 1}


async def test_a_waiting_request_takes_a_freed_environment(house, hello):
    """Whichever is ready first: here the one that another request gives back."""
    agent = await house.agent(hello)
    first = house.begin({"do": "gate", "n": 1})
    await house.eventually(lambda: agent.running == 1)
    second = house.begin({"n": 2})
    await house.waiting(hello)
    agent.gate.set()
    assert [(await request).json()["n"] for request in (first, second)] == [1, 2]


async def test_fifty_requests_share_four_environments_one_at_a_time(house, hello):
    """All are answered, each environment runs one at a time, nothing is left over."""
    agents = [await house.agent(hello, f"pod-{number}") for number in range(4)]
    answers = await asyncio.gather(*(house.invoke({"do": "sleep", "seconds": 0.005, "n": n}) for n in range(50)))
    assert [answer.json()["n"] for answer in answers] == list(range(50))
    assert max(agent.most for agent in agents) == 1
    await house.idle(hello, 4)
    pool = house.pool(hello)
    assert (pool.in_flight, pool.waiting, pool.starting) == (0, 0, 0)


async def test_requests_take_the_most_recently_used_environment(house, hello):
    """One after the other, all go to the same one; the others go cold."""
    agents = [await house.agent(hello, f"pod-{number}") for number in range(3)]
    await house.idle(hello, 3)
    for _ in range(6):
        await house.invoke()
        await house.idle(hello, 3)
    assert sorted(len(agent.invocations()) for agent in agents) == [0, 0, 6]


async def test_a_failed_init_leaves_a_usable_environment(house, hello):
    """The next invocation repeats init; the gateway lends it like any other."""
    await house.agent(hello, init_fails=True)
    assert (await house.invoke({"n": 1})).json() == {"n": 1}


async def test_a_cold_start_that_takes_too_long_says_why(make_house):
    """500 ServiceException with what stands in the way: here the image."""
    house = await make_house(cold_start=0.2)
    hello = house.cluster.apply(function())
    pod = pod_of(hello, "pod-1", running=False)
    waiting = {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "x"'}
    pod["status"]["containerStatuses"][0]["state"] = {"waiting": waiting}
    house.cluster.pod(pod)
    answer = await house.invoke()
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (500, "ServiceException")
    assert 'ImagePullBackOff): Back-off pulling image "x"' in answer.json()["Message"]
    assert answer.json()["Type"] == "Server"
    assert house.pool(hello).waiting == 0


async def test_an_evicted_environment_is_told_from_a_killed_one(house, hello):
    """Lambda's words for a killed process first, and why behind them."""
    agent = await house.agent(hello)
    await house.idle(hello)
    request = house.begin({"do": "gate"})
    await house.eventually(lambda: agent.running == 1)
    body = pod_of(hello, "pod-1")
    message = 'Usage of EmptyDir volume "tmp" exceeds the limit "512Mi". '
    body["status"] |= {"phase": "Failed", "reason": "Evicted", "message": message}
    house.cluster.pod(body)
    await agent.stop()
    answer = await request
    assert (answer.status, answer.error, answer.json()["errorType"]) == (200, "Unhandled", "Runtime.ExitError")
    words = "Runtime exited with error: signal: killed (no space left on device: /tmp is full)"
    assert answer.json()["errorMessage"].endswith(words)


UNMOUNTED = condition("Ready", "False", "EFSMountFailure", "The function could not mount the EFS file system …")
MOUNTS = {"fileSystemConfigs": [{"arn": "data", "localMountPath": "/mnt/a"}]}


@pytest.mark.parametrize("revision", ["rev0000000000001", None], ids=["ready before", "never ready"])
async def test_nobody_waits_for_a_file_system_that_does_not_exist(make_house, revision):
    """403 at once: no environment can be made, and the controller would have said if that had changed."""
    house = await make_house(cold_start=3600.0)
    house.cluster.apply(function(spec=MOUNTS, status={"podRevision": revision, "conditions": [UNMOUNTED]}))
    answer = await house.invoke()
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (403, "EFSMountFailureException")
    assert answer.json() == {"Type": "User", "Message": UNMOUNTED["message"]}


async def test_an_environment_that_has_its_file_system_still_serves(make_house):
    """What is mounted stays, whatever became of the claim."""
    house = await make_house()
    hello = house.cluster.apply(function(spec=MOUNTS, status={"conditions": [UNMOUNTED]}))
    await house.agent(hello)
    assert (await house.invoke({"n": 1})).json() == {"n": 1}


async def test_a_file_system_that_is_not_mounted_in_time_has_lambdas_error(make_house):
    """408, and what is known besides."""
    house = await make_house(cold_start=0.2)
    hello = house.cluster.apply(function(spec=MOUNTS))
    body = pod_of(hello, "pod-1", running=False)
    body["status"]["conditions"] = [{"type": "PodReadyToStartContainers", "status": "False"}]
    house.cluster.pod(body)
    answer = await house.invoke()
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (408, "EFSMountTimeoutException")
    assert "access point data due to mount time out." in answer.json()["Message"]


async def test_conditions_explain_a_cold_start_without_pods(make_house):
    """Quota or role: the controller could not create anything and says so in the status."""
    house = await make_house(cold_start=0.1)
    unhealthy = condition("EnvironmentsHealthy", "False", "QuotaExceeded", "exceeded quota: pods=10")
    house.cluster.apply(function(status={"conditions": [unhealthy]}))
    answer = await house.invoke()
    assert "QuotaExceeded: exceeded quota: pods=10" in answer.json()["Message"]


async def test_a_deleted_function_is_not_found_by_those_who_wait(house, hello):
    """Waiting requests are told at once; a running one goes on."""
    agent = await house.agent(hello)
    running = house.begin({"do": "gate", "n": 1})
    await house.eventually(lambda: agent.running == 1)
    waiting = house.begin({"n": 2})
    await house.waiting(hello)
    house.cluster.delete(hello)
    answer = await waiting
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (404, "ResourceNotFoundException")
    agent.gate.set()
    assert (await running).json()["n"] == 1
    assert (await house.invoke()).status == 404


async def test_waiting_requests_follow_their_function_to_its_new_configuration(house, hello):
    """The key changes while they wait: the new environment serves them, in order."""
    requests = [house.begin({"n": number}) for number in range(3)]
    await house.waiting(hello, 3)
    changed = house.cluster.apply(function(revision="rev0000000000002"))
    await house.waiting(changed, 3)
    agent = await house.agent(changed, "pod-2")
    assert [(await request).json()["n"] for request in requests] == [0, 1, 2]
    assert [json.loads(seen.body)["n"] for seen in agent.invocations()] == [0, 1, 2]
    assert house.pool(hello).waiting == 0


async def test_a_running_request_ends_on_the_old_configuration(house, hello):
    """New requests use the new key; the old environment stays idle under the old key until the controller asks."""
    old = await house.agent(hello, "pod-1")
    running = house.begin({"do": "gate", "n": 1})
    await house.eventually(lambda: old.running == 1)
    changed = house.cluster.apply(function(revision="rev0000000000002"))
    new = await house.agent(changed, "pod-2")
    assert (await house.invoke({"n": 2})).json() == {"n": 2}
    old.gate.set()
    assert (await running).json()["n"] == 1
    await house.idle(hello, 1)
    await house.invoke({"n": 3})
    assert (len(old.invocations()), len(new.invocations())) == (1, 2)


async def test_an_update_in_progress_runs_the_old_configuration(house, hello):
    """A status that does not describe the current specification changes nothing."""
    await house.agent(hello)
    house.cluster.apply(function(generation=2, revision="rev0000000000002"))
    assert (await house.invoke({"n": 1})).status == 200


async def test_an_unclaimed_environment_of_an_old_configuration_is_left_alone(house, hello):
    """It would become what nobody asks for any more."""
    changed = house.cluster.apply(function(revision="rev0000000000002"))
    agent = await house.agent(hello, "pod-1")  # made for the old key
    await house.eventually(lambda: agent.seen)
    new = await house.agent(changed, "pod-2")
    await house.idle(changed)
    assert (agent.claims(), len(new.claims())) == ([], 1)


async def test_a_pod_seen_before_its_function_is_claimed_when_the_function_comes(house):
    """Two watches, no order between them."""
    body = function()
    agent = await house.agent(body)
    await house.eventually(lambda: agent.seen)
    house.cluster.apply(body)
    assert (await house.invoke({"n": 1})).json() == {"n": 1}


async def test_environments_that_a_predecessor_claimed_are_used_again(house, hello):
    """Warm environments survive the gateway: no second claim."""
    agent = await house.agent(hello, state=State.IDLE)
    assert (await house.invoke({"n": 1})).json() == {"n": 1}
    assert agent.claims() == []


async def test_an_environment_that_is_busy_for_a_predecessor_is_used_when_it_is_idle(house, hello):
    """It is asked until it is."""
    agent = await house.agent(hello, state=State.BUSY)
    request = house.begin({"n": 1})
    await house.eventually(lambda: len(agent.seen) >= 2)
    assert not request.done()
    agent.state = State.IDLE
    assert (await request).json() == {"n": 1}


async def test_a_stale_owner_uses_another_environment(house, hello):
    """The refusal means that nothing was started: the same request goes elsewhere."""
    stolen, other = await house.agent(hello, "pod-1"), await house.agent(hello, "pod-2")
    await house.idle(hello, 2)
    # whichever is taken first, a newer gateway has spoken to it
    newer = Owner(house.gateway.epoch + 1000, "gateway-z")
    last = house.pool(hello).idle()[-1][0].pod.name
    (stolen if last == "pod-1" else other).owner = newer
    assert (await house.invoke({"n": 1})).json() == {"n": 1}
    assert stolen.most + other.most == 1


async def test_requests_that_wait_take_an_environment_back_from_a_newer_owner(house, hello):
    """During a rolling update nobody fails: the older gateway speaks up when it has nothing else."""
    agent = await house.agent(hello)
    await house.idle(hello)
    agent.owner = Owner(house.gateway.epoch + 1000, "gateway-z")
    assert (await house.invoke({"n": 1})).json() == {"n": 1}
    assert house.gateway.epoch > 0
    assert agent.owner.gateway == "gateway-b"


async def test_an_environment_that_is_not_idle_is_left_and_asked_again(house, hello):
    """NotIdle: the request waits for it or for another one, whichever is ready first."""
    agent = await house.agent(hello)
    await house.idle(hello)
    agent.state = State.BUSY
    request = house.begin({"n": 1})
    await house.waiting(hello)
    agent.state = State.IDLE
    assert (await request).json() == {"n": 1}
    assert agent.most == 1


async def test_a_client_that_goes_away_leaves_the_queue(house, hello):
    """Nobody runs what nobody waits for any more."""
    request = house.begin({"n": 1})
    await house.waiting(hello)
    request.cancel()
    await house.waiting(hello, 0)
    agent = await house.agent(hello)
    await house.idle(hello)
    assert agent.invocations() == []


async def test_a_running_invocation_outlives_its_client(house, hello):
    """Lambda runs it to its end; the environment is idle afterwards and used again."""
    agent = await house.agent(hello)
    request = house.begin({"do": "gate"})
    await house.eventually(lambda: agent.running == 1)
    request.cancel()
    await asyncio.sleep(0.05)
    assert (house.pool(hello).in_flight, agent.running) == (1, 1)
    agent.gate.set()
    await house.idle(hello)
    assert (await house.invoke({"n": 1})).status == 200


async def test_a_relist_forgets_what_is_not_in_it(house, hello):
    """Events that were missed are made up for."""
    agent = await house.agent(hello)
    await house.idle(hello)
    pods, functions = house.cluster.streams["pods"], house.cluster.streams["functions"]
    pods.objects.clear()
    pods.relist()
    await house.idle(hello, 0)
    functions.objects.clear()
    functions.relist()
    await house.eventually(lambda: house.gateway.table.route_of(Key(hello["metadata"]["uid"], "latest", "")) is None)
    assert agent.invocations() == []


async def test_a_refused_claim_is_tried_again_and_explained(make_house):
    """The agent says why; the caller hears it when time runs out."""
    house = await make_house(cold_start=0.3)
    hello = house.cluster.apply(function())
    agent = await house.agent(hello, refuses_claims=1000)
    answer = await house.invoke()
    assert "claim.handler must be better" in answer.json()["Message"]
    agent.refuses_claims = 0
    assert (await house.invoke({"n": 1})).status == 200


async def test_concurrency_of_an_account_is_limited(make_house):
    """Requests that run or wait count; the next one is answered 429 with Lambda's reason; then there is room again."""
    house = await make_house(account_concurrency=3)
    hello = house.cluster.apply(function())
    agent = await house.agent(hello)
    await house.idle(hello)
    requests = [house.begin({"do": "gate"}) for _ in range(3)]
    await house.waiting(hello, 2)
    answer = await house.invoke()
    assert (answer.status, answer.headers["x-amzn-ErrorType"]) == (429, "TooManyRequestsException")
    assert answer.json() == {"Type": "User", "message": "Rate Exceeded.", "Reason": "ConcurrentInvocationLimitExceeded"}
    agent.gate.set()
    assert [(await request).status for request in requests] == [200, 200, 200]
    assert (await house.invoke()).status == 200


async def test_a_takeover_speaks_louder_than_a_predecessor_with_a_faster_clock(make_house):
    """Agents report a higher epoch at start-up: one more than that is used."""
    from tests.gateway.clusters import Cluster
    from tests.gateway.fake_agents import FakeAgent

    cluster = Cluster()
    hello = cluster.apply(function())
    ahead = Owner(99_000_000_000_000, "gateway-z")
    agent = await FakeAgent(state=State.IDLE, owner=ahead).start()
    cluster.run(hello, "pod-1", agent.port)
    house = await make_house(cluster)
    house.agents.append(agent)
    assert (await house.invoke({"n": 1})).status == 200
    assert house.gateway.epoch == ahead.epoch + 1
