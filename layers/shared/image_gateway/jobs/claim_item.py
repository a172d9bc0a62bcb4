"""The DynamoDB item of a claim: the id of its job in `claimed_by`, the request's hash in `body`, and `expires_at`."""

from typing import TYPE_CHECKING, Any

from image_gateway.errors import InvalidRequest
from image_gateway.jobs.idempotency import Claim

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef


def claim_key(claim: Claim) -> "dict[str, AttributeValueTypeDef]":
    """Return the key of a claim's item."""
    return {"pk": {"S": claim.key}}


def claim_put(claim: Claim, job_id: str, now: float) -> dict[str, Any]:
    """Return the write of a job's claim. Its condition is that no other claim on the key is valid at `now`.

    Args:
        claim: the claim.
        job_id: the job that has the claim.
        now: seconds since 1970.
    """
    put: dict[str, Any] = {
        "Item": {
            **claim_key(claim),
            "claimed_by": {"S": job_id},
            "body": {"S": claim.body},
            "expires_at": {"N": str(int(now + claim.seconds))},
        }
    }
    if not claim.replaces:
        put["ConditionExpression"] = "attribute_not_exists(pk) OR expires_at < :now"
        put["ExpressionAttributeValues"] = {":now": {"N": str(int(now))}}
    return put


def claiming_job_id(item: Any | None, claim: Claim, now: float) -> str | None:
    """Return the id of the job whose claim is stored in `item`; None if there is none, or if it has expired.

    Raises:
        InvalidRequest: the stored claim is that of another request.
    """
    if item is None or float(item["expires_at"]["N"]) < now:
        return None
    if item["body"]["S"] != claim.body:
        raise InvalidRequest("The Idempotency-Key was used for another request", field="Idempotency-Key")
    return str(item["claimed_by"]["S"])
