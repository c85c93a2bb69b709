"""What the API's document cannot say of a body: such bodies are made sound before they are sent as valid ones.

Every call comes from an address of its own, by way of a trusted proxy: bad tokens are tried more often than one may.
"""

from datetime import datetime, timezone
from itertools import count

import requests
import schemathesis

CALLS = count()
SEND = requests.Session.send
FREE = {"metadata", "secrets"}


def send_from_an_address_of_its_own(session, request, **options):
    call = next(CALLS)
    request.headers["X-Forwarded-For"] = f"198.{18 + call // 65536}.{call // 256 % 256}.{call % 256}"
    return SEND(session, request, **options)


requests.Session.send = send_from_an_address_of_its_own


def lies_in_the_past(text):
    try:
        moment = datetime.fromisoformat(text.upper().replace("Z", "+00:00"))
    except ValueError:
        return False
    return moment.tzinfo is not None and moment <= datetime.now(timezone.utc)


def sound(body):
    """An expiry lies in the future, a budget's window needs a budget, and whole numbers are written as such."""
    if isinstance(body, list):
        return [sound(element) for element in body]
    if isinstance(body, float) and body.is_integer():
        return int(body)
    if not isinstance(body, dict):
        return body
    body = {name: value if name in FREE else sound(value) for name, value in body.items()}
    expires_at = body.get("expires_at")
    if isinstance(expires_at, str) and lies_in_the_past(expires_at):
        body["expires_at"] = "2100-01-01T00:00:00Z"
    if body.get("usage_window_seconds") is not None and body.get("usage_limit") is None:
        body["usage_window_seconds"] = None
    return body


@schemathesis.hook
def before_call(context, case, kwargs):
    if case.meta is not None and case.meta.generation.mode.is_positive:
        case.body = sound(case.body)
