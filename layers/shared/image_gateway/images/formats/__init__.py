"""The structure of image files: one module for each format, on bytes alone, without decoding anything."""
