"""All steps, in the order in which they run."""

from tests.deployment.steps import (  # noqa: F401, I001 - in the order of the steps
    public_pages,
    configuration,
    administration,
    generations,
    edits,
    routing,
    jobs,
    metering,
    events,
    failures,
)
