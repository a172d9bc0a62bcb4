"""The ledger: what engines were paid for against what was delivered, and every promise that was not kept."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from image_gateway.models.jobs import Job
from tests.chaos.accounts import charges, wrong_charges
from tests.chaos.outcome import Findings, describe, marker_of


class Ledger:
    """Compares what was promised with what happened.

    Attributes:
        delivered: number of paid images that callers can get.
        accounted: number of paid images that they cannot get, and whose job says so.
        problems: everything that is wrong, by its kind, each as one line.
        held: the locks and slots that are held.
    """

    def __init__(self, findings: Findings) -> None:
        self._found = findings
        self._jobs: defaultdict[str, list[Job]] = defaultdict(list)
        for job in findings.jobs:
            self._jobs[marker_of(job)].append(job)
        self.held = findings.held
        self.delivered = self.accounted = 0
        self.problems: dict[str, list[str]] = {
            "lost": list(self._lost_images()),
            "paid twice": list(self._paid_twice()),
            "stuck": list(self._stuck()),
            "unannounced": list(self._unannounced()),
            "broken promises": [*self._requests(), *self._cancellations(), *self._images(), *self._files()],
            "wrong charges": list(wrong_charges(findings)),
            "failed functions": findings.failures,
        }

    @property
    def balanced(self) -> bool:
        """Whether nothing is wrong."""
        return not any(self.problems.values()) and not self.held

    def summary(self) -> str:
        """Return the figures in one line."""
        figures = [
            f"{len(self._found.paid)} images paid",
            f"{self.delivered} delivered",
            f"{self.accounted} accounted for",
            *(f"{len(lines)} {name}" for name, lines in self.problems.items()),
        ]
        figures.append(charges(self._found))
        return ", ".join([*figures, f"{len(self.held)} slots held" if self.held else "slots free"])

    def ends(self) -> str:
        """Return how many jobs ended in which way, in one line."""
        ends = Counter(job.error.code if job.error else job.status for job in self._found.jobs)
        return ", ".join(f"{number} {name}" for name, number in ends.most_common())

    def failures(self) -> list[str]:
        """Return one failed job for each error code, with its error text: it may be worth a look."""
        failed = {job.error.code: f"{describe(job)}: {job.error.detail}" for job in self._found.jobs if job.error}
        return [text for code, text in failed.items() if code != "canceled"]

    def repeats(self) -> int:
        """Return how many events announced an end that had been announced before."""
        return len(self._found.events) - len({(event["id"], event["status"]) for event in self._found.events})

    def _lost_images(self) -> Iterator[str]:
        """Count each paid image as delivered or accounted for, or report it."""
        for image in self._found.paid:
            jobs = self._jobs[image.marker]
            keys = [item.key for job in jobs if job.status == "succeeded" for item in job.images]
            if image.digest in [self._found.stored.get(key) for key in keys]:
                self.delivered += 1
            elif any(self._accounts_for_images(job) for job in jobs):
                self.accounted += 1
            else:
                yield f"an image of {image.engine} for {image.marker}: {_list(jobs)}"

    def _accounts_for_images(self, job: Job) -> bool:
        if job.status == "canceled":
            return True
        killed = job.id in self._found.interrupted
        if job.error:
            # An engine that is too slow, because the computer is busy, is not AWS's fault.
            expected = job.error.code == "engine_timeout" or (killed and job.error.code == "interrupted")
            return expected and job.error.may_have_cost
        if not killed:
            return False
        # Completed from the images that were stored before the process died.
        return any("were not stored" in warning for warning in job.warnings)

    def _paid_twice(self) -> Iterator[str]:
        paid = Counter(image.marker for image in self._found.paid)
        for request in self._found.sent:
            if paid[request.marker] > request.n:
                jobs = _list(self._jobs[request.marker])
                yield f"{request.marker}: {paid[request.marker]} images instead of {request.n}: {jobs}"

    def _stuck(self) -> Iterator[str]:
        yield from (describe(job) for job in self._found.jobs if not job.ended)
        yield from (f"a message is in a queue: {body}" for body in self._found.queued)

    def _unannounced(self) -> Iterator[str]:
        statuses = defaultdict(set)
        for event in self._found.events:
            statuses[event["id"]].add(event["status"])
        for job in self._found.jobs:
            announced = statuses.pop(job.id, set())
            if job.ended and announced != {job.status}:
                yield f"{describe(job)}: announced as {sorted(announced) or 'nothing'}"
        yield from (f"an event about a job that does not exist: {job_id}" for job_id in statuses)

    def _requests(self) -> Iterator[str]:
        """Report requests that were accepted and are nowhere, and responses with images of jobs without them."""
        for request in self._found.sent:
            jobs = self._jobs[request.marker]
            kept = any(request.marker in text for text in self._found.kept)
            if request.accepted and not jobs and not kept and request.channel != "s3":
                yield f"{request.marker} was accepted on {request.channel} and has no job"
            if request.delivered and not any(job.status == "succeeded" for job in jobs):
                yield f"{request.marker} was answered with images: {_list(jobs)}"
            if request.job_id and request.job_id not in [job.id for job in jobs]:
                yield f"{request.marker} has no job {request.job_id}"

    def _cancellations(self) -> Iterator[str]:
        for job in self._found.jobs:
            if job.id in self._found.canceled and job.status != "canceled":
                yield f"{describe(job)}, although it was canceled"

    def _images(self) -> Iterator[str]:
        """Report jobs that succeeded without all their images, and without a warning."""
        for job in self._found.jobs:
            if job.status != "succeeded":
                continue
            missing = [image.key for image in job.images if image.key not in self._found.stored]
            if missing:
                yield f"{describe(job)} and has images that are not stored: {missing}"
            if len(job.images) != (job.request.get("n") or 1) and not job.warnings:
                yield f"{describe(job)} with {len(job.images)} images, without a warning"

    def _files(self) -> Iterator[str]:
        """Report request files whose results are missing, or differ from the jobs."""
        results = {document["file"]: document for document in self._found.results}
        statuses = {job.id: job.status for job in self._found.jobs}
        for key, markers in self._found.files.items():
            if key not in results:
                if not any(key in text for text in self._found.kept):
                    yield f"{key} has no results"
                continue
            lines = results[key]["lines"]
            if len(lines) != len(markers):
                yield f"the results of {key} have {len(lines)} lines instead of {len(markers)}"
            for line in lines:
                if "job" in line and statuses.get(line["job"]) != line["status"]:
                    yield f"line {line['line']} of {key} is {line['status']}: job {line['job']}"


def _list(jobs: Iterable[Job]) -> str:
    return "; ".join(map(describe, jobs)) or "no job"
