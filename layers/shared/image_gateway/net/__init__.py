"""HTTP to other servers: the transport for httpx, and the guard that restricts callers' links to public addresses."""
