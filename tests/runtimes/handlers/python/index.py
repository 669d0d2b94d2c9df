"""The handler of the suite, in Python: one deed an event, the same in every language."""

import os
import threading
import time

ticks = []


class Broken(Exception):
    """What `fail` raises."""


def tick():
    while True:
        time.sleep(0.01)
        ticks.append(1)


def context_of(context):
    return {
        "requestId": context.aws_request_id,
        "remainingMs": context.get_remaining_time_in_millis(),
        "functionName": context.function_name,
        "functionVersion": context.function_version,
        "memoryMb": int(context.memory_limit_in_mb),
        "logGroup": context.log_group_name,
        "logStream": context.log_stream_name,
        "arn": context.invoked_function_arn,
        "custom": context.client_context and context.client_context.custom,
        "identity": context.identity.cognito_identity_id,
        "traceId": os.environ.get("_X_AMZN_TRACE_ID"),
    }


def handler(event, context):
    match event["do"]:
        case "echo":
            return event["value"]
        case "pid":
            return os.getpid()
        case "fail":
            raise Broken("no such luck")
        case "exit":
            os._exit(3)
        case "hang":
            time.sleep(1000)
        case "pad":
            return "x" * event["size"]
        case "measure":
            return len(event["value"])
        case "variables":
            return {name: os.environ.get(name) for name in event["names"]}
        case "write":
            with open(event["path"], "w") as file:
                file.write(event["text"])
        case "read":
            with open(event["path"]) as file:
                return file.read()
        case "tick":
            threading.Thread(target=tick, daemon=True).start()
        case "ticks":
            while not ticks:
                time.sleep(0.005)
            return True
        case "print":
            print(event["text"])
        case "context":
            return context_of(context)
    return None
