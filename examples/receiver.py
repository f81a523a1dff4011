"""A webhook receiver to learn from. Needs Python alone: WEBHOOK_SECRET=whsec_... receiver.py 8000

Behind a TLS proxy it is a receiver; keep the ids of messages done where your data are, with them.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64decode(os.environ["WEBHOOK_SECRET"].removeprefix("whsec_"))
OLDEST_S, LARGEST = 300, 64 * 1024
one_at_a_time = threading.Lock()
done: set[str] = set()  # webhook-ids; a real receiver stores them in its database


def is_genuine(message_id: str, timestamp: str, signatures: str, body: bytes) -> bool:
    """Whether one of the signatures is ours over these very bytes, and the message is fresh."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    right = b"v1," + base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256))
    is_fresh = timestamp.isdecimal() and abs(time.time() - int(timestamp[:12])) <= OLDEST_S
    ours = [hmac.compare_digest(right, given.encode()) for given in signatures.split()]
    return is_fresh and any(ours)


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to a message that is genuine (new or not), 401 to any other."""

    timeout = 20  # seconds that a sender may be silent

    def do_POST(self) -> None:
        """One message."""
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or len(length) > 9 or int(length) > LARGEST:
            return self.send_error(413)
        body = self.rfile.read(int(length))
        names = ("webhook-id", "webhook-timestamp", "webhook-signature")
        message_id, timestamp, signatures = (self.headers.get(name, "") for name in names)
        if not is_genuine(message_id, timestamp, signatures, body):
            return self.send_error(401)
        with one_at_a_time:
            if message_id not in done:  # a message may come twice, even at once
                event = json.loads(body)
                told = ("verified", message_id, event["type"], json.dumps(event["data"]))
                print(*told, flush=True)  # noqa: T201 # a program that shows what came
                done.add(message_id)
        self.send_response(204)
        self.end_headers()
        return None


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver).serve_forever()
