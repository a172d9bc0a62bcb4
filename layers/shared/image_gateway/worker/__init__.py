"""The worker: messages of the queue, jobs that are done from it, concurrency slots, cancellation and recovery."""
