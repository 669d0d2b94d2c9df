"""The catalogue of managed runtimes: Lambda's identifiers and what is true of each.

Dates are those of Lambda's documentation, section "Lambda runtimes", as public copies of it gave them in autumn 2026;
AWS has postponed them more than once. None where no copy gave a date, and then nothing is held against the runtime.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

UNSUPPORTED = (
    "The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions. "
    "We recommend you use a supported runtime while creating or updating functions."
)
"""Lambda's words for a runtime that new functions, or functions at all, may no longer have."""

NOT_A_MEMBER = (
    "Value {runtime} at 'runtime' failed to satisfy constraint: "
    "Member must satisfy enum value set: [{members}] or be a valid ARN"
)
"""Lambda's words for what is no identifier. An ARN would name a customer-managed runtime, which Lambent has not."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """One runtime identifier of Lambda."""

    identifier: str
    family: str
    """`python`, `nodejs`, `provided` …: the folder under runtime-images/."""
    inline_file: str | None = None
    """File name that `code.inline` becomes, as CloudFormation's ZipFile does; None where Lambda has none."""
    deprecated: date | None = None
    """No security patches and no support from this day on; everything still works."""
    creation_blocked: date | None = None
    """No new functions from this day on."""
    update_blocked: date | None = None
    """Functions that exist cannot be changed any more from this day on, but go on running."""

    def blocked(self, today: date, *, exists: bool) -> bool:
        """Whether Lambda would refuse it today, for a function that exists already or for a new one."""
        days = [self.update_blocked] if exists else [self.creation_blocked, self.update_blocked]
        return any(day is not None and day <= today for day in days)


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text != "-" else None


def _family(name: str, inline_file: str | None, *lines: str) -> list[Runtime]:
    """One line an identifier: identifier, deprecation, block of creation, block of update; `-` for unknown."""
    runtimes = []
    for line in lines:
        identifier, *days = line.split()
        runtimes.append(Runtime(identifier, name, inline_file, *map(_day, days)))
    return runtimes


CATALOGUE: dict[str, Runtime] = {
    runtime.identifier: runtime
    for runtime in (
        *_family(
            "python",
            "index.py",
            "python2.7    2021-07-15 2021-07-15 2022-05-30",
            "python3.6    2022-07-18 2022-07-18 2022-08-29",
            "python3.7    2023-12-04 2024-01-09 -",
            "python3.8    2024-10-14 2027-02-01 2027-03-03",
            "python3.9    2025-12-15 2027-02-01 2027-03-03",
            "python3.10   2026-10-31 2027-02-01 2027-03-03",
            "python3.11   2027-06-30 -          -",
            "python3.12   2028-10-31 -          -",
            "python3.13   2029-06-30 -          2029-08-31",
            "python3.14   2029-06-30 -          2029-08-31",
            "python3.15   -          -          -",
        ),
        *_family(
            "nodejs",
            "index.js",
            "nodejs         2016-10-31 2016-10-31 2016-10-31",
            "nodejs4.3      2020-03-05 2020-03-05 2020-03-05",
            "nodejs4.3-edge 2020-03-05 2019-04-30 2019-04-30",
            "nodejs6.10     2019-08-12 2019-08-12 2019-08-12",
            "nodejs8.10     2020-03-06 2020-03-06 2020-03-06",
            "nodejs10.x     2021-07-30 2021-07-30 2022-02-14",
            "nodejs12.x     2023-03-31 2023-03-31 2023-04-30",
            "nodejs14.x     2023-12-04 2024-01-09 -",
            "nodejs16.x     2024-06-12 2027-02-01 2027-03-03",
            "nodejs18.x     2025-09-01 2027-02-01 2027-03-03",
            "nodejs20.x     2026-04-30 2027-02-01 2027-03-03",
            "nodejs22.x     2027-04-30 2027-06-01 2027-07-01",
            "nodejs24.x     2028-04-30 2028-06-01 2028-07-01",
            "nodejs26.x     -          -          -",
        ),
        *_family(
            "java",
            None,
            "java8          2024-01-08 2024-02-08 -",
            "java8.al2      2027-06-30 -          -",
            "java8.al2023   2029-06-30 -          -",
            "java11         2027-06-30 -          -",
            "java11.al2023  2029-06-30 -          -",
            "java17         2027-06-30 -          -",
            "java17.al2023  2029-06-30 -          -",
            "java21         2029-06-30 -          -",
            "java25         2029-06-30 -          2029-08-31",
        ),
        *_family(
            "dotnet",
            None,
            "dotnetcore1.0  2019-06-27 2019-07-30 2019-07-30",
            "dotnetcore2.0  2019-05-30 2019-05-30 2019-05-30",
            "dotnetcore2.1  2022-01-05 2022-01-05 2022-04-13",
            "dotnetcore3.1  2023-04-03 2023-04-03 2023-05-03",
            "dotnet6        2024-12-20 -          -",
            "dotnet8        2026-11-10 -          -",
            "dotnet10       2028-11-14 -          2029-01-15",
        ),
        *_family(
            "ruby",
            None,
            "ruby2.5        2021-07-30 2021-07-30 2022-03-31",
            "ruby2.7        2023-12-07 2024-01-09 -",
            "ruby3.2        2026-03-31 -          -",
            "ruby3.3        2027-03-31 -          -",
            "ruby3.4        2028-03-31 -          2028-05-31",
            "ruby4.0        2029-03-31 -          -",
        ),
        *_family(
            "provided",
            None,
            "go1.x            2024-01-08 2024-02-08 -",
            "provided         2024-01-08 2024-02-08 -",
            "provided.al2     -          -          -",
            "provided.al2023  2029-06-30 -          -",
        ),
    )
}
