"""Jobs from submission to completion: records, queue, attempts, cancellation, events, and what callers see of them."""
