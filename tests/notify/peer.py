"""Peers of notifications: a mail server and an HTTPS server. What arrives is printed, a line of JSON each.

peer.py smtp|https ADDRESS PORT CERTIFICATE KEY
"""

import http.server
import json
import ssl
import sys
import threading
from email import message_from_bytes, policy

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

PASSWORD = b"swordfish"


def say(what):
    print(json.dumps(what, ensure_ascii=False), flush=True)


class Mails:
    async def handle_DATA(self, server, session, envelope):
        mail = message_from_bytes(envelope.content, policy=policy.default)
        headers = {name: str(mail[name]) for name in ["From", "To", "Subject", "Auto-Submitted", "Date", "Message-ID"]}
        body = mail.get_content()
        say({"mail": headers, "to": envelope.rcpt_tos, "tls": session.ssl is not None, "body": body})
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"rhumb", PASSWORD))


class Requests(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        say({"path": self.path, "authorization": self.headers["Authorization"], "body": body})
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments):
        pass


kind, address, port, certificate, key = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
if kind == "smtp":
    Controller(
        Mails(),
        hostname=address,
        port=int(port),
        tls_context=context,
        require_starttls=True,
        authenticator=authenticate,
        auth_required=True,
    ).start()
    say("listening")
    threading.Event().wait()
else:
    server = http.server.ThreadingHTTPServer((address, int(port)), Requests)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    say("listening")
    server.serve_forever()
