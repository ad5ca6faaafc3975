"""Puts the whole description of the API to the test: schemathesis makes requests of every operation, as the
owner, a guest, a stranger, nobody, the operator and a camera, with valid proofs; every answer must be one that is described.

A request is {"origin", "sms_file", "data", "sightline", "rtsp_port", "document", "seconds", "seed"}: `document`
is the description to hold the server against. Output is one JSON line with what was seen."""

import collections
import json
import random
import sys
import time

import hypothesis
import schemathesis
from api_terminal import Shown
from api_world import FRAGMENT, SDP, NotYet, World
from hypothesis import HealthCheck, Phase, settings
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
schemathesis.serializer.alias([SDP, FRAGMENT], "text/plain")
# Requests that are made of one operation before it is the next one's turn.
ROUND = 6
# Words that a path may hold so that it names something real.
REAL = {"serial": ["SEALED-1", "OPEN-1", "AGENT-1"], "channel": [0], "purpose": ["media.view"]}
# The owner's requests that would take away what the others stand on, if they named something real.
ENDING = {
    ("DELETE", "/v1/bindings/{serial}"),
    ("DELETE", "/v1/sessions/current"),
    ("POST", "/v1/device/reset"),
}
# A failure of one kind is told once; more of them are counted.
MAX_TOLD = 40


class Seen:
    def __init__(self):
        self.requests = 0
        self.statuses = collections.Counter()
        self.good = set()
        self.failures = {}
        self.recipes_that_fail = {}

    def answered(self, name, status):
        self.requests += 1
        self.statuses[status] += 1
        if 200 <= status < 300:
            self.good.add(name)

    def failed(self, name, status, what, request):
        found = self.failures.setdefault((name, status, what[:80]), {"times": 0})
        found["times"] += 1
        found.update(operation=name, status=status, what=what[:600], request=request)


def described(request):
    body = request.body or b""
    body = body if isinstance(body, bytes) else str(body).encode()
    return f"{request.method} {request.path_url} {body[:200]!r}"


class Checker:
    def __init__(self, request):
        self.world = World(request)
        self.seen = Seen()
        self.random = random.Random(request.get("seed", 1))
        self.seed = request.get("seed", 1)
        schema = schemathesis.openapi.from_dict(request["document"])
        schema.config.update(base_url=request["origin"])
        self.operations = [result.ok() for result in schema.get_all_operations()]
        self.raw = request["document"]["paths"]
        self.recipes = self.world.recipes()

    def name(self, operation):
        return f"{operation.method.upper()} {operation.path}"

    def rule(self, operation):
        return self.raw[operation.path][operation.method.lower()]["x-rule"]

    def actors(self):
        world = self.world
        return [world.owner, world.guest, world.stranger, world.nobody, world.operator, world.camera.device]

    def run(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for operation in self.operations:
                self.serve(operation)
                self.fuzz(operation)
                if time.monotonic() > end:
                    break

    def serve(self, operation):
        """A request that the operation serves, until it has been seen to."""
        name = self.name(operation)
        if name in self.seen.good:
            return
        recipe = self.recipes.get(name)
        if recipe is None and "{" not in operation.path and operation.method.upper() == "GET":
            recipe = self.world.plain_get(operation.path, self.rule(operation))
        if recipe is None:
            return
        try:
            answer = recipe()
        except NotYet:
            return
        except (RuntimeError, LookupError) as error:
            self.seen.recipes_that_fail[name] = str(error)[:300]
            return
        self.seen.answered(name, answer.status_code)
        if answer.ok:
            self.seen.recipes_that_fail.pop(name, None)
        else:
            self.seen.recipes_that_fail[name] = f"{answer.status_code} {answer.text[:300]}"
        self.judge(operation, operation.Case(), answer)

    def fuzz(self, operation):
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            self.seed += 1
            made = settings(
                max_examples=ROUND // 2,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )

            @hypothesis.seed(self.seed)
            @made
            @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
            def once(case):
                self.ask(operation, case)

            try:
                once()
            except hypothesis.errors.Unsatisfiable:
                # There is no wrong request of an operation that takes nothing.
                continue

    def ask(self, operation, case):
        who = self.random.choice(self.actors())
        ending = (operation.method.upper(), operation.path) in ENDING and who is not self.world.nobody
        for name, words in REAL.items():
            if not ending and name in (case.path_parameters or {}) and self.random.random() < 0.5:
                case.path_parameters[name] = self.random.choice(words)
        if ending and "{" not in operation.path:
            return
        auth = self.shown(who, self.rule(operation))
        try:
            answer = case.call(session=who.session, auth=auth, timeout=40, allow_redirects=False)
        except (ValueError, OSError) as error:
            # Headers and paths that no client can send.
            if "Connection" in type(error).__name__:
                self.seen.failed(self.name(operation), 0, f"no answer: {error}", str(case))
            return
        self.seen.answered(self.name(operation), answer.status_code)
        self.judge(operation, case, answer)

    def shown(self, who, rule):
        """Mostly what the rule wants, at times something else."""
        if rule == "grant" and self.random.random() < 0.5:
            try:
                return self.world.granted()
            except (NotYet, RuntimeError):
                return who.shown(rule)
        if rule == "publisher":
            return Shown(who.key, "Bearer", self.world.password, proven=False)
        if self.random.random() < 0.1:
            return Shown(who.key, proven=self.random.random() < 0.5)
        return who.shown(rule)

    def judge(self, operation, case, answer):
        name, status = self.name(operation), answer.status_code
        request = answer.request
        if status >= 500:
            self.seen.failed(name, status, f"server error: {answer.text[:200]}", described(request))
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            for failure in group.exceptions:
                what = f"{failure.title}: {failure.message}"
                self.seen.failed(name, status, what, described(request))


def main():
    request = json.load(sys.stdin)
    checker = Checker(request)
    try:
        checker.run(request["seconds"])
    finally:
        checker.world.close()
    seen = checker.seen
    names = [checker.name(operation) for operation in checker.operations]
    print(
        json.dumps(
            {
                "operations": len(names),
                "requests": seen.requests,
                "statuses": dict(sorted(seen.statuses.items())),
                "answered": len(seen.good),
                "missing": [name for name in names if name not in seen.good],
                "recipes_that_fail": seen.recipes_that_fail,
                "failures": list(seen.failures.values())[:MAX_TOLD],
            }
        )
    )


main()
