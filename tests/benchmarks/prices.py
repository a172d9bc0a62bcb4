"""Prices of AWS and of engines in US dollars, as in `docs/costs.md`: us-east-1, without free tiers.

Prices as of 22 November 2026, partly from stored copies of the pricing pages and from articles that quote them: "AWS
Lambda pricing" (arm64), "Amazon API Gateway pricing" (HTTP API), "Amazon DynamoDB pricing" (on demand), "Amazon SQS
pricing", "Amazon EventBridge pricing", "Amazon S3 pricing"; for images "OpenAI API pricing", as quoted at
community.openai.com/t/1371851.
"""

from typing import Final

MILLION: Final = 1e6

LAMBDA_GB_SECOND: Final = 0.0000133334
LAMBDA_REQUEST: Final = 0.20 / MILLION
HTTP_API_REQUEST: Final = 1.00 / MILLION
DYNAMODB_WRITE_UNIT: Final = 0.625 / MILLION
DYNAMODB_READ_UNIT: Final = 0.125 / MILLION
SQS_REQUEST: Final = 0.40 / MILLION
EVENT: Final = 1.00 / MILLION
S3_PUT: Final = 0.005 / 1_000

MEGABYTES_PER_CPU: Final = 1_769
"""Memory in MB at which a function has one whole CPU ("Configure Lambda function memory")."""

IMAGES: Final = {
    "gpt-image-1-mini, low, 1024x1024": 0.002176,
    "gpt-image-1.5, medium, 1024x1024": 0.033792,
}
"""Price of one image by model, quality and size."""
