"""The worker: reads queue messages, runs jobs, and handles concurrency slots, cancellation and recovery."""
