"""The worker: reads queue messages, runs jobs at their destinations, and handles slots, cancellation and recovery."""
