"""The shared layer of image-gateway: one image API over several engines, on AWS Lambda."""
