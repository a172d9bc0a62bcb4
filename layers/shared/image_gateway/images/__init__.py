"""Images as bytes: detection of types, resolution and normalisation of inputs, conversion of outputs, storage."""
