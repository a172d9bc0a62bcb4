"""The shared layer of image-gateway: one image API for several engines, on AWS Lambda."""
