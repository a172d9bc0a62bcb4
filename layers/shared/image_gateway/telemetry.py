"""Metrics of a job: a log line, and the same numbers in CloudWatch's embedded metric format.

Format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal

logger = logging.getLogger(__name__)

NAMESPACE = "ImageGateway"
_UNITS = {"engine_ms": "Milliseconds", "store_ms": "Milliseconds", "total_ms": "Milliseconds", "images": "Count",
          "bytes": "Bytes", "usd": "None"}  # fmt: skip


def quiet_httpx() -> None:
    """Disable httpx's log of requested URLs, because some URLs contain signatures."""
    logging.getLogger("httpx").setLevel(logging.WARNING)


@dataclass(slots=True)
class JobMetrics:
    """Durations, sizes and the outcome of one job. Times are in milliseconds, sizes in bytes, costs in US dollars."""

    job_id: str
    kind: str
    end_user: str = ""
    connection: str = ""
    route: str = ""
    engine: str = ""
    model: str = ""
    outcome: str = "failed"
    code: str = "internal_error"
    engine_ms: float = 0.0
    store_ms: float = 0.0
    total_ms: float = 0.0
    images: int = 0
    bytes: int = 0
    usd: Decimal = Decimal(0)
    _started: float = field(default_factory=time.perf_counter, repr=False)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add the duration of the block to the metric `name`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, name, round(getattr(self, name) + (time.perf_counter() - started) * 1000, 1))

    def succeeded(self) -> None:
        """Record success. Without this call the job counts as failed, whatever interrupted it."""
        self.outcome, self.code = "succeeded", ""

    def emit(self) -> None:
        """Write the log line and the metrics; call it once, when the job has ended."""
        self.total_ms = round((time.perf_counter() - self._started) * 1000, 1)
        numbers = {name: getattr(self, name) for name in _UNITS if name != "usd"}
        properties = {"job_id": self.job_id, "kind": self.kind, "end_user": self.end_user,
                 "connection": self.connection, "route": self.route, "engine": self.engine, "model": self.model,
                 "outcome": self.outcome, "code": self.code}  # fmt: skip
        logger.info("job", extra={**properties, **numbers, "usd": f"{self.usd:.6f}"})
        metrics = {
            "_aws": {
                "Timestamp": int(time.time() * 1000),
                "CloudWatchMetrics": [
                    {
                        "Namespace": NAMESPACE,
                        "Dimensions": [["connection", "outcome"]],
                        "Metrics": [{"Name": name, "Unit": unit} for name, unit in _UNITS.items()],
                    }
                ],
            },
            "connection": self.connection,
            "outcome": self.outcome,
            **numbers,
            # CloudWatch knows floating-point numbers only.
            "usd": float(self.usd),
        }
        # CloudWatch reads metrics from lines that are JSON objects, so this line is not written by the logger.
        sys.stdout.write(json.dumps(metrics) + "\n")
        sys.stdout.flush()
