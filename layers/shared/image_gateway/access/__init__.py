"""Authentication and permissions: principals, bearer tokens and their registry."""
