"""Paths, header names and limits of the agent's door. The one place where they are written.

Header names are bytes as they go out; decoders give names in lower case, so the `*_KEY` forms are for lookups.
"""

from typing import Final

DOOR_PORT: Final = 9000
RUNTIME_API_PORT: Final = 9001

STATE_PATH: Final = b"/v1/state"
CLAIM_PATH: Final = b"/v1/claim"
INVOKE_PATH: Final = b"/v1/invoke"
DRAIN_PATH: Final = b"/v1/drain"

# Request headers.
AUTHORIZATION: Final = b"Authorization"
OWNER: Final = b"Lambent-Owner"
REQUEST_ID: Final = b"Lambent-Request-Id"
TIMEOUT_MS: Final = b"Lambent-Timeout-Ms"
ARN: Final = b"Lambent-Arn"
TRACE_ID: Final = b"Lambent-Trace-Id"
CLIENT_CONTEXT: Final = b"Lambent-Client-Context"  # base64, as X-Amz-Client-Context came in
COGNITO_IDENTITY: Final = b"Lambent-Cognito-Identity"  # JSON on one line
LOG_TYPE: Final = b"Lambent-Log-Type"  # "Tail" or nothing
RESPONSE_MODE: Final = b"Lambent-Response-Mode"  # "streaming" or nothing

# Answer: header, then trailers.
FUNCTION_ERROR: Final = b"Lambent-Function-Error"
LOG_RESULT: Final = b"Lambent-Log-Result"
INIT_MS: Final = b"Lambent-Init-Ms"
DURATION_MS: Final = b"Lambent-Duration-Ms"
BILLED_MS: Final = b"Lambent-Billed-Ms"
MAX_MEMORY_MB: Final = b"Lambent-Max-Memory-Mb"
STATE: Final = b"Lambent-State"
ERROR_TYPE: Final = b"Lambent-Error-Type"  # of a stream that failed midway, beside Lambent-Function-Error
ERROR_BODY: Final = b"Lambent-Error-Body"  # base64 of what a buffered invocation would have been answered

INVOKE_TRAILERS: Final = (LOG_RESULT, INIT_MS, DURATION_MS, BILLED_MS, MAX_MEMORY_MB, STATE)
STREAM_TRAILERS: Final = (FUNCTION_ERROR, ERROR_TYPE, ERROR_BODY, *INVOKE_TRAILERS)

AUTHORIZATION_KEY: Final = AUTHORIZATION.lower()
OWNER_KEY: Final = OWNER.lower()
REQUEST_ID_KEY: Final = REQUEST_ID.lower()
TIMEOUT_MS_KEY: Final = TIMEOUT_MS.lower()
ARN_KEY: Final = ARN.lower()
TRACE_ID_KEY: Final = TRACE_ID.lower()
CLIENT_CONTEXT_KEY: Final = CLIENT_CONTEXT.lower()
COGNITO_IDENTITY_KEY: Final = COGNITO_IDENTITY.lower()
LOG_TYPE_KEY: Final = LOG_TYPE.lower()
RESPONSE_MODE_KEY: Final = RESPONSE_MODE.lower()
FUNCTION_ERROR_KEY: Final = FUNCTION_ERROR.lower()
LOG_RESULT_KEY: Final = LOG_RESULT.lower()
INIT_MS_KEY: Final = INIT_MS.lower()
DURATION_MS_KEY: Final = DURATION_MS.lower()
BILLED_MS_KEY: Final = BILLED_MS.lower()
MAX_MEMORY_MB_KEY: Final = MAX_MEMORY_MB.lower()
STATE_KEY: Final = STATE.lower()
ERROR_TYPE_KEY: Final = ERROR_TYPE.lower()
ERROR_BODY_KEY: Final = ERROR_BODY.lower()

UNHANDLED: Final = b"Unhandled"  # Lambda never says "Handled" any more
TAIL: Final = b"Tail"
STREAMING: Final = b"streaming"

# Lambda's limits, as the agent sees them.
MAX_EVENT_BYTES: Final = 6_291_456  # request of a synchronous invocation
MAX_RESPONSE_BYTES: Final = 6_291_556  # 6 MiB and 100 bytes, inclusive
MAX_STREAMED_BYTES: Final = 209_715_200  # of an answer that is streamed to a caller who asked for it
MAX_ERROR_BODY_BYTES: Final = 256 * 1024  # of a stream that failed midway: it travels in a trailer
MAX_ANSWER_HEAD_BYTES: Final = 512 * 1024  # so much of an answer's head, or of its trailers, a gateway reads
MAX_ZIPPED_BYTES: Final = 262_144_000  # of an upload Lambda takes 50 MiB, from S3 what is within its limit unzipped
MAX_UNZIPPED_BYTES: Final = 262_144_000
MAX_CLAIM_BYTES: Final = 16 * 1024 * 1024  # a claim with its code inside; larger code comes by URL
MAX_LOG_TAIL_BYTES: Final = 4096
MAX_TIMEOUT_MS: Final = 900_000
