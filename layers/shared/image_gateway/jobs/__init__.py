"""Jobs, from submission to completion: records, queue, events, attempts, cancellation, and what callers see of them."""
