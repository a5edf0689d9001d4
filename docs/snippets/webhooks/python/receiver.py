"""A receiver of webhooks, with nothing to install: PORTARIA_WEBHOOK_SECRET=whsec_… python3 receiver.py"""

import base64, hashlib, hmac, json, os, re, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["PORTARIA_WEBHOOK_SECRET"].removeprefix("whsec_"), validate=True)
assert KEY, "PORTARIA_WEBHOOK_SECRET is empty"


def verify(headers, body: bytes) -> bool:
    """Tell whether Portaria signed this body within the last five minutes."""
    sent_id, sent_at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not re.fullmatch("[0-9]{1,12}", sent_at) or abs(time.time() - int(sent_at)) > 300:
        return False
    signed = f"{sent_id}.{sent_at}.".encode("latin-1") + body
    want = b"v1," + base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256))
    given = headers.get("webhook-signature", "").encode("latin-1").split()
    return any(hmac.compare_digest(want, signature) for signature in given)


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        if not 0 <= length <= 1 << 20:
            return self.answer(413)
        body = self.rfile.read(length)  # the bytes as they came: they are what is signed
        if not verify(self.headers, body):
            return self.answer(401)
        event = json.loads(body)
        print(event["id"], event["type"], flush=True)  # keep the id with what you do: an event may come twice
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.end_headers()

    def log_request(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", 9000))), Receiver).serve_forever()
