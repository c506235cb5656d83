"""What Schemathesis has to know of Relatch: how to be somebody, whatever the tests did to whoever it was before.

Users are disabled, demoted, deleted and signed out by the very tests that need a token, so a token is tried before it is
used, and when it is worth nothing any more another account is made at the command line.
"""

import base64
import itertools
import json
import os
import subprocess
import threading
import urllib.error
import urllib.request

import schemathesis

URL = os.environ["SERVER_URL"]
BINARY = os.environ["SERVER_BINARY"]
PASSWORD = "correct horse battery staple"

numbers = itertools.count(1)


def ask(method, path, body=None, form=None, authorization=None):
    """The status and the JSON of an answer."""
    request = urllib.request.Request(URL + path, method=method)
    if authorization is not None:
        request.add_header("Authorization", authorization)
    if body is not None:
        request.add_header("Content-Type", "application/json")
        request.data = json.dumps(body).encode()
    if form is not None:
        request.add_header("Content-Type", "application/x-www-form-urlencoded")
        request.data = form.encode()
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, None


def make(*arguments, password=None):
    """Runs a command of Relatch beside the server and reads what it made."""
    command = [BINARY, *arguments, "--json"]
    made = subprocess.run(command, input=password, text=True, check=True, capture_output=True)
    return json.loads(made.stdout)


class Admin:
    """An admin with an access token that is good."""

    def __init__(self):
        self.lock = threading.Lock()
        self.token = None

    def get(self, case, ctx):
        with self.lock:
            if self.token is None or not self.is_good():
                self.token = self.sign_in()
            return self.token

    def set(self, case, token, ctx):
        case.headers["Authorization"] = f"Bearer {token}"

    def is_good(self):
        status, profile = ask("GET", "/api/users/profile", authorization=f"Bearer {self.token}")
        return status == 200 and profile["role"] == "Admin"

    def sign_in(self):
        name = f"keeper{os.getpid()}-{next(numbers)}"
        account = ("--username", name, "--email", f"{name}@example.com", "--role", "admin")
        make("user", "create", *account, "--password-stdin", password=PASSWORD)
        status, pair = ask("POST", "/api/auth/login", {"username": name, "password": PASSWORD})
        assert status == 200, f"{name} cannot sign in: {status}"
        return pair["jwtToken"]


class Client:
    """A registered client that may introspect, with its secret."""

    def __init__(self):
        self.lock = threading.Lock()
        self.made = None

    def get(self, case, ctx):
        with self.lock:
            if self.made is None or not self.is_good():
                self.made = make("client", "create", "--name", "resource server", "--scope", "introspect")
            return self.header()

    def set(self, case, header, ctx):
        case.headers["Authorization"] = header

    def is_good(self):
        status, _ = ask("POST", "/oauth/introspect", form="token=none", authorization=self.header())
        return status == 200

    def header(self):
        pair = f"{self.made['id']}:{self.made['clientSecret']}"
        return "Basic " + base64.b64encode(pair.encode()).decode()


schemathesis.auth(refresh_interval=None).apply_to(path_regex="^/api")(Admin)
schemathesis.auth(refresh_interval=None).apply_to(path="/oauth/introspect")(Client)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Every other valid account and client gets what no schema can ask for: names and passwords that pass."""
    number = next(numbers)
    is_valid = case.meta is not None and case.meta.generation.mode.is_positive
    if not is_valid or number % 2 or not isinstance(case.body, dict):
        return
    if case.operation.label == "POST /api/users/register":
        name = f"person{os.getpid()}-{number}"
        case.body |= {"username": name, "email": f"{name}@example.com", "password": PASSWORD, "role": number % 4 // 2}
    elif case.operation.label in ("POST /api/clients", "PATCH /api/clients/{id}"):
        case.body |= {"name": f"client {number}"}
        case.body.pop("secretExpiresAt", None)
    elif case.operation.label == "POST /api/clients/{id}/secrets":
        case.body.pop("expiresAt", None)
    elif case.operation.label == "POST /api/users/password":
        case.body |= {"currentPassword": PASSWORD, "newPassword": PASSWORD}
    elif case.operation.label == "POST /oauth/token":
        case.body |= {"client_id": "relatch"}
