// As an ES module, with a top-level await.
import { act, stream as write } from "./deeds.cjs";

await Promise.resolve();
export const handler = act;
export const stream = awslambda.streamifyResponse(write);
