"""What can go wrong before or beside the gateway itself."""


class SandboxError(Exception):
    """Something that whoever started the sandbox can put right; its text says what."""
