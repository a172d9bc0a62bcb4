"""HTTP to other servers: the transport under httpx, and the guard that keeps callers' links to public addresses."""
