// The deeds of the suite in JavaScript, one an event, the same in every language.
"use strict";
const fs = require("node:fs");

let ticks = 0;

class Broken extends Error {
  constructor(message) {
    super(message);
    this.name = "Broken";
  }
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const contextOf = (context) => ({
  requestId: context.awsRequestId,
  remainingMs: context.getRemainingTimeInMillis(),
  functionName: context.functionName,
  functionVersion: context.functionVersion,
  memoryMb: Number(context.memoryLimitInMB),
  logGroup: context.logGroupName,
  logStream: context.logStreamName,
  arn: context.invokedFunctionArn,
  custom: context.clientContext?.custom ?? null,
  identity: context.identity?.cognitoIdentityId ?? null,
  traceId: process.env._X_AMZN_TRACE_ID ?? null,
});

exports.act = async (event, context) => {
  switch (event.do) {
    case "echo":
      return event.value;
    case "pid":
      return process.pid;
    case "fail":
      throw new Broken("no such luck");
    case "exit":
      process.exit(3);
    case "hang":
      for (;;) await wait(1000);
    case "pad":
      return "x".repeat(event.size);
    case "measure":
      return event.value.length;
    case "variables":
      return Object.fromEntries(event.names.map((name) => [name, process.env[name] ?? null]));
    case "write":
      fs.writeFileSync(event.path, event.text);
      return null;
    case "read":
      return fs.readFileSync(event.path, "utf8");
    case "tick":
      setInterval(() => (ticks += 1), 10);
      return null;
    case "ticks":
      while (ticks === 0) await wait(5);
      return true;
    case "print":
      console.log(event.text);
      return null;
    case "context":
      return contextOf(context);
  }
};

exports.stream = async (event, response) => {
  for (const chunk of event.chunks) {
    response.write(chunk);
    await wait(event.pauseMs ?? 0);
  }
  response.end();
};
