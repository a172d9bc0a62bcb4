"""Images as bytes: detection, inputs, decoding in child processes, conversion, marks of AI, and storage."""
