"""A small API behind Relatch. GET /orders is for everybody who is signed in, GET /reports for admins."""

import json
import os
import re
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from verifier import TokenRefused, Verifier

VERIFIER = Verifier(os.environ.get("RELATCH_URL", "http://127.0.0.1:8080"), os.environ.get("AUDIENCE", "relatch"))
ROUTES = {
    "/orders": (None, lambda claims: {"orders": [], "of": claims["sub"]}),
    "/reports": ("Admin", lambda claims: {"report": "all is well", "for": claims["sub"]}),
}


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path not in ROUTES:
            return self.answer(404, {"error": "not_found"})
        role, handle = ROUTES[self.path]
        credentials = re.fullmatch(r"bearer +([\w.~+/=-]+)", self.headers.get("Authorization", ""), re.I | re.A)
        if not credentials:
            return self.answer(401, {"error": "token_needed"}, challenge="Bearer")
        try:
            claims = VERIFIER.claims(credentials[1])
        except TokenRefused:
            return self.answer(401, {"error": "invalid_token"}, challenge='Bearer error="invalid_token"')
        except Exception:
            traceback.print_exc()
            return self.answer(503, {"error": "temporarily_unavailable"})
        if role and claims.get("role") != role:
            return self.answer(403, {"error": "insufficient_scope"}, challenge='Bearer error="insufficient_scope"')
        return self.answer(200, handle(claims))

    def answer(self, status, body, challenge=None):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(content)))
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        if status == 503:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3002"))), Api)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
