"""Request files in the bucket: their lines become jobs, and their results one file."""
