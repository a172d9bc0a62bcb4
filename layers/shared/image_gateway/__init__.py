"""The shared layer of image-gateway: one image API for several engines, on AWS Lambda."""

__version__ = "0.1.0"
"""The version of the gateway, as the package and the OpenAPI document have it."""
