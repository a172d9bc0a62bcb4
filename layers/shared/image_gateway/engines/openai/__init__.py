"""OpenAI's Images API, and servers that are compatible with it."""
