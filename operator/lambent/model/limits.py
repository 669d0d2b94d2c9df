"""Lambda's limits, each in exactly one place. Sizes in bytes unless the name says otherwise."""

from __future__ import annotations

MIB = 1024 * 1024

MEMORY_MB_MIN, MEMORY_MB_MAX, MEMORY_MB_DEFAULT = 128, 10_240, 128
TIMEOUT_S_MIN, TIMEOUT_S_MAX, TIMEOUT_S_DEFAULT = 1, 900, 3
EPHEMERAL_MB_MIN, EPHEMERAL_MB_MAX, EPHEMERAL_MB_DEFAULT = 512, 10_240, 512
DESCRIPTION_CHARS_MAX = 256
HANDLER_CHARS_MAX = 128
FUNCTION_NAME_CHARS_MAX = 64
ENVIRONMENT_BYTES_MAX = 4096
TAGS_MAX = 50

VERSIONS_KEPT_MAX = 1000
ALIAS_NAME_CHARS_MAX = 128
ROLLOUT_STEPS_MAX, ROLLOUT_ALARMS_MAX, ROLLOUT_HISTORY_MAX = 20, 10, 10
HOOK_SECONDS_MAX, HOOK_SECONDS_DEFAULT = 86_400, 3600
"""CodeDeploy waits for a hook's report for an hour."""

MEMORY_MB_PER_VCPU = 1769
"""Lambda's documented proportion: one vCPU at 1,769 MB, linear."""
VCPUS_MAX = 6

LAYERS_MAX, LAYERS_LISTED_MAX = 5, 16
"""More than the first are refused in Lambda's words, more than the second in those of the API server."""
LAYER_NAME_CHARS_MAX, LICENSE_CHARS_MAX = 140, 512
COMPATIBLE_RUNTIMES_MAX, COMPATIBLE_ARCHITECTURES_MAX = 15, 2

ZIP_BYTES_MAX = 50 * MIB
UNZIPPED_BYTES_MAX = 250 * MIB
FETCHED_BYTES_MAX = UNZIPPED_BYTES_MAX
"""Of code.url and code.s3Bucket: Lambda takes from S3 what is within its limit unzipped."""
IMAGE_ARGUMENTS_MAX, IMAGE_ARGUMENT_CHARS_MAX = 1500, 4096
"""ImageConfig's EntryPoint and Command."""
INLINE_SOURCE_CHARS_MAX = 1_000_000
ZIP_FILE_BASE64_CHARS_MAX = 1_400_000
"""etcd refuses an object over 1.5 MiB; what is larger goes through the code store."""

REQUEST_BYTES_MAX = 6_291_456
CLIENT_CONTEXT_BASE64_CHARS_MAX = 3583
COGNITO_IDENTITY_BASE64_CHARS_MAX = 1024
"""Ours: Lambda takes no such header."""
