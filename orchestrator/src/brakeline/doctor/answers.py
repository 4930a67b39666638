"""What a service answers to one request, in words that say what to do."""

import ssl
from typing import Any

import httpx

from brakeline.doctor.examination import Failed

_LOGIN = "the token is not accepted: log in again (`oc login`), or replace the token's file"


def get(url: str, token: str, trust: ssl.SSLContext, timeout_s: float, what: str) -> httpx.Response:
    """The answer to a GET, whatever its status; no redirection is followed. Raises Failed."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        return httpx.get(url, headers=headers, verify=trust, timeout=timeout_s, follow_redirects=False)
    except httpx.TimeoutException as error:
        raise Failed(f"{url}: no answer within {timeout_s:g} s", f"is {what} up, and reached from here?") from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        if "certificate" in str(error).lower():
            todo = "name its CA bundle; see the check of certificates"
            raise Failed(f"{url}: its certificate is not trusted", todo) from error
        raise Failed(
            f"{url}: no connection ({type(error).__name__})", f"is {what} up, and is the address right?"
        ) from error


def content(answer: httpx.Response, missing: str) -> dict[str, Any]:
    """The JSON object of an answer with status 200; `missing` is what to do where nothing is there. Raises Failed."""
    where, status = answer.request.url, answer.status_code
    if answer.is_redirect or (status == 200 and "html" in answer.headers.get("content-type", "")):
        raise Failed(f"{where}: sends to a login page", _LOGIN)
    if status in (401, 403):
        todo = _LOGIN if status == 401 else "the account may not: ask the project's administrator for the right"
        raise Failed(f"{where}: answered {status}", todo)
    if status != 200:
        raise Failed(f"{where}: answered {status}", missing if status == 404 else "see the service's own log")
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Failed(f"{where}: answered no JSON object", missing)
    return found
