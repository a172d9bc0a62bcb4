"""Errors of the sandbox itself, as opposed to those of the gateway in it."""


class SandboxError(Exception):
    """An error that the user of the sandbox can correct; its message says how."""
