"""The error tree. A class exists because somebody catches it; it carries its treatment.

LambentError
├── LambdaError                      what a client of the Lambda API gets to see: code, status, message
│   ├── ValidationFailed             400 ValidationException
│   ├── InvalidParameterValue        400 InvalidParameterValueException
│   ├── InvalidRequestContent        400 InvalidRequestContentException
│   ├── MissingToken                 403 MissingAuthenticationTokenException
│   ├── UnrecognizedToken            403 UnrecognizedClientException
│   ├── ExpiredToken                 403 ExpiredTokenException
│   ├── AccessDenied                 403 AccessDeniedException
│   ├── EFSMountFailure              403 EFSMountFailureException
│   ├── ResourceNotFound             404 ResourceNotFoundException
│   ├── UnknownOperation             404 UnknownOperationException
│   ├── EFSMountTimeout              408 EFSMountTimeoutException
│   ├── ResourceConflict             409 ResourceConflictException
│   ├── RequestEntityTooLarge        413 RequestEntityTooLargeException
│   ├── TooManyRequests              429 TooManyRequestsException
│   ├── ServiceFailed                500 ServiceException
│   └── ServiceUnavailable           503 ServiceUnavailableException
├── InvalidCode                      the package itself is wrong: only a person can help (stalled)
│   └── AddressRefused               what a tenant named leads where nobody may be led
├── FetchFailed                      code could not be fetched; its trouble says who can help (core.sources)
├── InvalidImage                     the container image itself is wrong: only a person can help (stalled)
├── Unavailable                      a peer did not answer: try again later (retry)
└── Refused                          the API server said no to a write, with its reason
"""

from __future__ import annotations

from lambent.model.troubles import Trouble


class LambentError(Exception):
    """Root of everything that Lambent raises on purpose."""


class LambdaError(LambentError):
    """An error as the Lambda API words it; subclasses fix code, status and the casing of the message member."""

    code = "ServiceException"
    status = 500
    member = "message"
    """AWS spells it `message` or `Message`, differently per shape (see botocore's service model)."""
    fault: str | None = "Server"
    """Value of the body's `Type` member; None where AWS leaves it out."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ValidationFailed(LambdaError):
    """A value fails a constraint of the API's model."""

    code, status, fault = "ValidationException", 400, None


class InvalidParameterValue(LambdaError):
    """One of the parameters in the request is not valid."""

    code, status, fault = "InvalidParameterValueException", 400, "User"


class InvalidRequestContent(LambdaError):
    """The request body could not be parsed as JSON."""

    code, status, fault = "InvalidRequestContentException", 400, "User"


class MissingToken(LambdaError):
    """The request says nothing about who sent it."""

    code, status, fault = "MissingAuthenticationTokenException", 403, None

    def __init__(self, message: str = "Missing Authentication Token") -> None:
        super().__init__(message)


class UnrecognizedToken(LambdaError):
    """The token is nobody's, or was not made for this gateway."""

    code, status, fault = "UnrecognizedClientException", 403, None

    def __init__(self, message: str = "The security token included in the request is invalid.") -> None:
        super().__init__(message)


class ExpiredToken(LambdaError):
    """The token ended by its own word: whoever sent it needs a new one."""

    code, status, fault = "ExpiredTokenException", 403, None

    def __init__(self, message: str = "The security token included in the request is expired") -> None:
        super().__init__(message)


class AccessDenied(LambdaError):
    """The caller is known and may not do this."""

    code, status, member, fault = "AccessDeniedException", 403, "Message", None


class EFSMountFailure(LambdaError):
    """A file system of the function cannot be mounted as things are; EFS is Lambda's word for any."""

    code, status, member, fault = "EFSMountFailureException", 403, "Message", "User"

    @staticmethod
    def words(arn: str, why: str) -> str:
        """Lambda's message, and ours behind it."""
        return f"The function could not mount the EFS file system with access point {arn}. {why}"


class EFSMountTimeout(LambdaError):
    """A file system of the function was not mounted in time."""

    code, status, member, fault = "EFSMountTimeoutException", 408, "Message", "User"

    @staticmethod
    def words(arn: str, why: str) -> str:
        """Lambda's message, and ours behind it."""
        return f"The function could not mount the EFS file system with access point {arn} due to mount time out. {why}"


class ResourceNotFound(LambdaError):
    """The function does not exist in the account that was asked."""

    code, status, member, fault = "ResourceNotFoundException", 404, "Message", "User"


class UnknownOperation(LambdaError):
    """No operation of the API has this method and path, or we do not have it yet."""

    code, status, fault = "UnknownOperationException", 404, "User"


class ResourceConflict(LambdaError):
    """The function is in a state that does not allow the operation."""

    code, status, fault = "ResourceConflictException", 409, "User"


class RequestEntityTooLarge(LambdaError):
    """The request body is over the invocation type's limit."""

    code, status, fault = "RequestEntityTooLargeException", 413, None


class TooManyRequests(LambdaError):
    """Throttled; `reason` is one of Lambda's reasons."""

    code, status, fault = "TooManyRequestsException", 429, "User"

    def __init__(self, message: str = "Rate Exceeded.", reason: str = "ConcurrentInvocationLimitExceeded") -> None:
        super().__init__(message)
        self.reason = reason


class ServiceFailed(LambdaError):
    """The service, not the function, failed; the message says why."""

    code, status, member, fault = "ServiceException", 500, "Message", "Server"


class ServiceUnavailable(LambdaError):
    """Something the answer depends on cannot be had now; trying again helps."""

    code, status, fault = "ServiceUnavailableException", 503, "Server"


class InvalidCode(LambentError):
    """A code package that can never work; retrying helps nobody."""


class AddressRefused(InvalidCode):
    """An address that may not be dialled on a tenant's word, or a redirect that may not be followed."""


class FetchFailed(LambentError):
    """Code could not be fetched from where a tenant said that it is; the message is for the function's owner."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        super().__init__(message)
        self.trouble = trouble


class InvalidImage(LambentError):
    """A container image that cannot work as it is named and as its registry shows it; retrying helps nobody."""


class Unavailable(LambentError):
    """A process or server we depend on did not answer or answered 5xx; the loop tries again.

    `retry_after` is the number of seconds that the server asked for (its Retry-After), if it did.
    """

    def __init__(self, message: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Refused(LambentError):
    """The API server refused a write; `reason` is its machine-readable reason, the text its message."""

    def __init__(self, reason: str, message: str, status: int) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status
