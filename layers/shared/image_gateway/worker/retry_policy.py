"""When a job is tried again, and after how long. A job is never retried if the engine might be paid twice."""

import random

from image_gateway.engines import REGISTRY
from image_gateway.errors import (
    Busy,
    EngineError,
    EngineRateLimited,
    EngineTimeout,
    EngineUnavailable,
    GatewayError,
    StorageUnavailable,
    UnresolvedHost,
)
from image_gateway.jobs.store import Lease
from image_gateway.routing.failures import is_passed_over
from image_gateway.routing.round import Round

MAX_ATTEMPTS = 5
"""Maximum number of attempts at a job whose engine is unavailable or rate limited."""
MAX_RETRY_DELAY_SECONDS = 86_400.0
_FIRST_DELAY_SECONDS = 2.0
_RETRYABLE = frozenset({EngineRateLimited.code, EngineUnavailable.code, StorageUnavailable.code, Busy.code})


def is_retryable(error: GatewayError, engine: str) -> bool:
    """Whether a later attempt may succeed and nothing would be paid for twice.

    That is the case for refused connections, 429 and 503 of the engine, failures of the gateway's own stores, and names
    of links that cannot be resolved. It is also the case for a run that the engine has not started, and for a run whose
    response or images did not arrive, if the engine can return them later.

    Args:
        error: why the attempt failed.
        engine: the engine of the attempt.
    """
    resumes_runs = REGISTRY[engine].resumes_runs
    if error.permanent:
        return False
    if error.may_have_cost and not (resumes_runs and error.outstanding):
        return False
    if error.code == EngineTimeout.code:
        return resumes_runs
    return error.code in _RETRYABLE or isinstance(error, UnresolvedHost)


def is_round_retryable(round_: Round, error: GatewayError, engine: str) -> bool:
    """Whether a later round may succeed and nothing would be paid for twice.

    Args:
        round_: the round, which has failed.
        error: the job's error.
        engine: the engine of the last attempt.
    """
    errors = [(destination.engine, failed) for destination, failed in round_.failed]
    if len(errors) <= 1:
        return is_retryable(error, engine)
    if any(failed.may_have_cost for _, failed in errors[:-1]):
        return False
    return is_retryable(errors[-1][1], errors[-1][0]) or (
        not errors[-1][1].may_have_cost
        and is_passed_over(errors[-1][1], round_.plan.fallback_on)
        and any(is_retryable(failed, name) for name, failed in errors if name)
    )


def retry_after(round_: Round) -> float | None:
    """Return the fewest seconds that an engine wants callers to wait; None if none has."""
    # The gateway's own errors name the shortest delay, which is for callers.
    seconds = [error.retry_after for _, error in round_.failed if isinstance(error, EngineError)]
    return min((value for value in seconds if value is not None), default=None)


def leaves_a_run(error: GatewayError, engine: str) -> bool:
    """Whether a failed attempt may have left a run at the engine, which the next attempt finds again."""
    return REGISTRY[engine].resumes_runs and (error.outstanding or error.code == EngineTimeout.code)


def is_lost(lease: Lease) -> bool:
    """Whether the job's last holder died and the run at the engine, if there is one, cannot be found again."""
    if lease.interrupted_engine is None:
        return False
    entry = REGISTRY.get(lease.interrupted_engine)
    # An edit that ran inside the API function has no stored inputs, so it cannot be started again.
    no_inputs = lease.job.kind == "edit" and not lease.job.inputs
    return entry is None or not entry.resumes_runs or no_inputs or lease.job.attempts > MAX_ATTEMPTS


def retry_delay(attempts: int, retry_after: float | None) -> float:
    """Return the seconds before the next attempt, with jitter.

    Args:
        attempts: number of attempts so far; the delay doubles with each of them.
        retry_after: seconds that the engine asks for. They replace the doubling delay.
    """
    delay = retry_after if retry_after is not None else _FIRST_DELAY_SECONDS * 2**attempts
    return float(min(delay * random.uniform(1.0, 1.25), MAX_RETRY_DELAY_SECONDS))  # noqa: S311 - jitter, no secret
