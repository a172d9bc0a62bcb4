"""Authentication and permissions: principals, bearer tokens and their registry, and what a token may use."""
