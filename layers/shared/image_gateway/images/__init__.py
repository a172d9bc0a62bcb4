"""Images as bytes: detecting their type, normalising inputs, converting outputs, and storing them in the bucket."""
