"""Images as bytes: detection of types, resolution and normalization of inputs, conversion of outputs, storage."""
