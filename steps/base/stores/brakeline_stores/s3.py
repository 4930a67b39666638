"""One signed question to an S3 store: does it list this bucket? AWS Signature Version 4, by the standard library.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
import http.client
from collections.abc import Mapping
from datetime import UTC, datetime

REGION = "us-east-1"
_ALGORITHM, _SIGNED = "AWS4-HMAC-SHA256", "host;x-amz-content-sha256;x-amz-date"
_NOTHING = hashlib.sha256(b"").hexdigest()


def lists(address: tuple[str, int], known: Mapping[str, str], timeout_s: float) -> str:
    """Ask for one key of the bucket; returns nothing if the store answers, else what is wrong."""
    path, query = f"/{known['bucket']}", "list-type=2&max-keys=1"
    host = f"{address[0]}:{address[1]}"
    connection = http.client.HTTPConnection(*address, timeout=timeout_s)
    try:
        connection.request("GET", f"{path}?{query}", headers=_headers(host, path, query, known, datetime.now(UTC)))
        answer = connection.getresponse()
        said = answer.read().decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        return f"{host} does not answer: {error}"
    finally:
        connection.close()
    return "" if answer.status == http.HTTPStatus.OK else f"{host} answers {answer.status}: {said[:300]}"


def _headers(host: str, path: str, query: str, known: Mapping[str, str], now: datetime) -> dict[str, str]:
    time, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    signed = f"host:{host}\nx-amz-content-sha256:{_NOTHING}\nx-amz-date:{time}\n"
    asked = f"GET\n{path}\n{query}\n{signed}\n{_SIGNED}\n{_NOTHING}"
    scope = f"{day}/{REGION}/s3/aws4_request"
    signing = f"{_ALGORITHM}\n{time}\n{scope}\n{hashlib.sha256(asked.encode()).hexdigest()}"
    key = f"AWS4{known['secret_access_key']}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, signing.encode(), "sha256").hex()
    credential = f"{known['access_key_id']}/{scope}"
    return {
        "x-amz-date": time,
        "x-amz-content-sha256": _NOTHING,
        "Authorization": f"{_ALGORITHM} Credential={credential}, SignedHeaders={_SIGNED}, Signature={signature}",
    }
