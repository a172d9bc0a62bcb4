"""Figures of a job: one log line, and the same numbers as CloudWatch embedded metrics.

Format: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)

NAMESPACE = "ImageGateway"
_UNITS = {"engine_ms": "Milliseconds", "store_ms": "Milliseconds", "total_ms": "Milliseconds", "images": "Count",
          "bytes": "Bytes"}  # fmt: skip


def quiet_httpx() -> None:
    """Keep out of the log which URLs are asked for, as httpx says by itself: links, for one, may be signed."""
    logging.getLogger("httpx").setLevel(logging.WARNING)


@dataclass(slots=True)
class JobMetrics:
    """What one job took and gave. Times are in milliseconds, sizes in bytes."""

    job_id: str
    kind: str
    engine: str = ""
    model: str = ""
    outcome: str = "failed"
    code: str = "internal_error"
    engine_ms: float = 0.0
    store_ms: float = 0.0
    total_ms: float = 0.0
    images: int = 0
    bytes: int = 0
    _started: float = field(default_factory=time.perf_counter, repr=False)

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Add what the block takes to the figure `name`."""
        started = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, name, round(getattr(self, name) + (time.perf_counter() - started) * 1000, 1))

    def succeeded(self) -> None:
        """Note that the job ended well; until then it counts as failed, whatever breaks it off."""
        self.outcome, self.code = "succeeded", ""

    def emit(self) -> None:
        """Write the log line and the metrics, once, when the job has ended."""
        self.total_ms = round((time.perf_counter() - self._started) * 1000, 1)
        numbers = {name: getattr(self, name) for name in _UNITS}
        words = {"job_id": self.job_id, "kind": self.kind, "engine": self.engine, "model": self.model,
                 "outcome": self.outcome, "code": self.code}  # fmt: skip
        logger.info("job", extra={**words, **numbers})
        metrics = {
            "_aws": {
                "Timestamp": int(time.time() * 1000),
                "CloudWatchMetrics": [
                    {
                        "Namespace": NAMESPACE,
                        "Dimensions": [["engine", "outcome"]],
                        "Metrics": [{"Name": name, "Unit": unit} for name, unit in _UNITS.items()],
                    }
                ],
            },
            "engine": self.engine,
            "outcome": self.outcome,
            **numbers,
        }
        # CloudWatch reads metrics from lines that are JSON themselves, so this one passes the logger by.
        sys.stdout.write(json.dumps(metrics) + "\n")
        sys.stdout.flush()
