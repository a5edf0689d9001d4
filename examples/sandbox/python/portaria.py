"""What a program needs of Portaria: requests, and webhooks that are verified. Nothing has to be installed."""

import base64, hashlib, hmac, json, re, time, urllib.error, urllib.request


class Refusal(Exception):
    def __init__(self, status, error):
        super().__init__(f"{error['code']}: {error['message']}")
        self.status, self.code, self.details = status, error["code"], error.get("details")


class Portaria:
    def __init__(self, key, url="http://127.0.0.1:8080"):
        self.key, self.url = key, url

    def ask(self, method, path, body=None, **headers):
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json", **headers},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as refused:
            with refused:
                raise Refusal(refused.code, json.load(refused)["error"]) from None


def verified(secret, headers, body):
    """Tell whether Portaria signed this body, the bytes as they came, within the last five minutes."""
    sent_id, sent_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not re.fullmatch("[0-9]{1,12}", sent_at) or abs(time.time() - int(sent_at)) > 300:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    signed = f"{sent_id}.{sent_at}.".encode("latin-1") + body
    want = b"v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256))
    given = headers.get("webhook-signature", "").encode("latin-1").split()
    return any(hmac.compare_digest(want, signature) for signature in given)
