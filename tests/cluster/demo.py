"""`make demo`: a cluster, the chart, a function applied with kubectl, its answer.

`demo.py endpoint` (`make endpoint`) prints the gateway's URL; `demo.py clean` (part of `make clean`) undoes what the demo
left outside a cluster of ours: the port-forward, and the release on a cluster that was given.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from local.state import find
from releases import ROOT, Cluster, Failed, Release, cluster_and_images, run_text, step

NAMESPACE, SYSTEM = "lambent-demo", "lambent-demo-system"
FUNCTION = ROOT / "examples/hello/function.yaml"


def main() -> int:
    """Run the demo, or print the endpoint when asked for it."""
    try:
        if sys.argv[1:] == ["endpoint"]:
            print(endpoint(release_of(Cluster.up())))
        elif sys.argv[1:] == ["clean"]:
            clean()
        else:
            demo()
    except Failed as failed:
        print(f"\n{failed}", file=sys.stderr)
        return 1
    return 0


def release_of(cluster: Cluster) -> Release:
    """The demo's release."""
    return Release(cluster, "lambent", SYSTEM)


def demo() -> None:
    """Everything from nothing to an answer."""
    started = time.monotonic()
    with step("cluster and images (the first time: about a quarter of an hour)"):
        cluster, images = cluster_and_images()
    release = release_of(cluster)
    with step("helm upgrade --install lambent charts/lambent"):
        if not cluster.run_kubectl("get", "namespace", NAMESPACE, "--ignore-not-found", "-o", "name"):
            cluster.run_kubectl("create", "namespace", NAMESPACE)
        release.install(images, {"watchNamespaces": [NAMESPACE], "defaultNamespace": NAMESPACE})
    with step("kubectl apply -f examples/hello/function.yaml"):
        cluster.run_kubectl("apply", "-n", NAMESPACE, "-f", str(FUNCTION))
        cluster.run_kubectl("wait", "-n", NAMESPACE, "--for=condition=Ready", "fn/hello", "--timeout=60s")
    url = endpoint(release)
    with step("kubectl create token demo: an identity that may invoke"):
        token = release.caller(NAMESPACE, "demo")
    with step("invoke it twice"):
        first, second = invoke(url, token), invoke(url, token)
    tell(cluster, url, first, second)
    print(f"\nThe whole demo took {time.monotonic() - started:.0f} s.")


def invoke(url: str, token: str) -> tuple[str, str, float]:
    """One invocation with curl: body, log tail, seconds."""
    began = time.monotonic()
    printed = run_text(
        [
            "curl",
            "-sS",
            "-i",
            "--max-time",
            "120",
            "-H",
            "@-",  # not on the command line, where every process of the machine could read the token
            "-H",
            "X-Amz-Log-Type: Tail",
            "-d",
            '{"name": "Kubernetes"}',
            f"{url}/2015-03-31/functions/hello/invocations",
        ],
        stdin=f"Authorization: Bearer {token}\n",
    )
    took = time.monotonic() - began
    head, _, body = printed.replace("\r\n", "\n").partition("\n\n")
    if " 200 " not in head.splitlines()[0]:
        raise Failed(f"the gateway answered:\n{printed}")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.splitlines()[1:])}
    return body, base64.b64decode(headers.get("x-amz-log-result", "")).decode(), took


def tell(cluster: Cluster, url: str, first: tuple[str, str, float], second: tuple[str, str, float]) -> None:
    """Print what happened and what to try next."""
    print(f"\nAnswer ({first[2] * 1000:.0f} ms, then {second[2] * 1000:.0f} ms; curl included):\n")
    print("  " + json.dumps(json.loads(first[0]), indent=2).replace("\n", "\n  "))
    print("\nLog tail:\n")
    print("  " + first[1].rstrip("\n").replace("\n", "\n  "))
    print("\n" + cluster.run_kubectl("get", "fn,pods", "-n", NAMESPACE).rstrip())
    kubectl = " ".join(cluster.kubectl_command())
    print(
        f"""
Try next:
  export KUBECONFIG={cluster.kubeconfig}
  export AWS_SESSION_TOKEN=$({kubectl} create token -n {NAMESPACE} demo) AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any
  curl -sS -H "Authorization: Bearer $AWS_SESSION_TOKEN" -d '{{"name":"you"}}' \\
      {url}/2015-03-31/functions/hello/invocations
  aws lambda invoke --endpoint-url {url} --region us-east-1 \\
      --function-name hello --cli-binary-format raw-in-base64-out --payload '{{}}' /dev/stdout
  {kubectl} get fn,fnv,fna -A
  {kubectl} explain fn.spec
  PYTHONPATH=operator .venv/bin/python -m lambent publish -n {NAMESPACE} hello    # then: alias set hello live 1
  {kubectl} delete -n {NAMESPACE} fn/hello
  make endpoint     # this URL again
  make clean        # stop and remove everything"""
    )


def endpoint(release: Release) -> str:
    """A URL of the gateway that the host reaches; a port-forward is started where it needs one."""
    return release.gateway_url() or forwarded(release)


def forwarded(release: Release) -> str:
    """URL of a port-forward to the gateway, started now or by an earlier call; `make clean` ends it."""
    record = Path(release.cluster.state) / "port-forward.json"
    if record.exists():
        known = json.loads(record.read_text())
        if answers(known["url"]):
            return str(known["url"])
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = release.cluster.kubectl_command(
        "port-forward", "-n", release.namespace, f"service/{release.name}-gateway", f"{port}:8080"
    )
    with (Path(release.cluster.state) / "port-forward.log").open("wb") as log:
        process = subprocess.Popen(
            command, env=release.cluster.environment(), stdout=log, stderr=log, start_new_session=True
        )
    url = f"http://127.0.0.1:{port}"
    record.write_text(json.dumps({"pid": process.pid, "url": url}))
    for _ in range(100):
        if answers(url):
            return url
        time.sleep(0.1)
    raise Failed(f"the port-forward to the gateway does not answer; see {record.with_suffix('.log')}")


def clean() -> None:
    """End the port-forward; on a cluster that was given, remove the release and its namespaces."""
    record = find(os.environ).root / "port-forward.json"
    if record.exists():
        pid = json.loads(record.read_text())["pid"]
        with contextlib.suppress(OSError):
            if b"port-forward" in Path(f"/proc/{pid}/cmdline").read_bytes():  # not a stranger with a recycled id
                os.kill(pid, signal.SIGTERM)
        record.unlink()
    if os.environ.get("LAMBENT_KUBECONFIG") or os.environ.get("KUBECONFIG"):
        release = release_of(Cluster.up())
        if release.cluster.kind == "given":
            release.uninstall([NAMESPACE])


def answers(url: str) -> bool:
    """Whether anything speaks HTTP there."""
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
