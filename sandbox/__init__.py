"""The whole gateway on one machine: embedded AWS, sandbox engines and an HTTP front."""
