"""The public data models: configuration, request bodies and response bodies."""
