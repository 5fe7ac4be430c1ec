"""The OpenAPI document, and what it says about requests and answers."""

import functools
import json
import pathlib
import re
import urllib.parse

import jsonschema

IN_REPOSITORY = pathlib.Path(__file__).parents[2] / "apps" / "api" / "openapi.json"

# What every answer has, whatever it says.
EVERYWHERE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

# Answers of any path, which belong to no operation.
ANYWHERE = {
    404: "NoRoute",
    405: "MethodNotAllowed",
    417: "ExpectationFailed",
    501: "UnknownMethod",
    505: "UnknownVersion",
}


def media_type_of(content_type):
    return content_type.split(";")[0].strip().lower()


def has_type(content_type):
    """What of `content` of a request or an answer is about this media type."""
    wanted = media_type_of(content_type)
    return lambda content: content.get(wanted, content.get("*/*"))


class Operation:
    """One method of one path."""

    def __init__(self, document, method, path, item):
        self.document = document
        self.method = method
        self.path = path
        self.item = item
        self.id = item["operationId"]
        names = re.findall(r"\{(\w+)\}", path)
        self.pattern = re.compile(re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(path)) + "$")
        self.path_names = names
        self.parameters = [document.resolved(each) for each in item.get("parameters", [])]
        self.answers = {
            int(status): document.resolved(answer) for status, answer in item["responses"].items()
        }

    def values_in(self, path):
        """The parameters of this path, or None where it is another."""
        match = self.pattern.match(path)
        if match is None:
            return None
        return dict(zip(self.path_names, map(urllib.parse.unquote, match.groups())))

    @property
    def scopes(self):
        """Sets of scopes, any one of which will do. None where no key is needed."""
        if self.item["security"] == []:
            return None
        return [set(each["bearer"]) for each in self.item["security"] if "bearer" in each]

    def path_for(self, **values):
        return self.path.format(**values)


class Document:
    def __init__(self, document):
        self.json = document
        self.resolver = jsonschema.RefResolver("", document)
        self.operations = [
            Operation(self, method.upper(), path, item)
            for path, methods in document["paths"].items()
            for method, item in methods.items()
        ]
        # "/v1/tasks/cancel" before "/v1/tasks/{id}", as the server has it.
        self.operations.sort(key=lambda operation: operation.path.replace("{", "~"))
        self.seen = set()  # (operationId, status) of all answers
        self.seen_anywhere = set()  # statuses of answers that belong to no operation

    def resolved(self, item):
        return self.resolver.resolve(item["$ref"])[1] if "$ref" in item else item

    def operation(self, operation_id):
        [found] = [each for each in self.operations if each.id == operation_id]
        return found

    def find(self, method, path):
        """The operation, or None."""
        method = "GET" if method == "HEAD" else method
        found = (each for each in self.operations if each.values_in(path) is not None)
        exact = [each for each in found]
        for operation in exact:
            if operation.path.count("{") == min(each.path.count("{") for each in exact):
                if operation.method == method:
                    return operation
        return None

    def methods_of(self, path):
        return {each.method for each in self.operations if each.path == path}

    # --- Schemas ---

    @functools.cache
    def _validator(self, schema_text):
        return jsonschema.Draft202012Validator(json.loads(schema_text), resolver=self.resolver)

    def faults(self, schema, value):
        """What of the value contradicts the schema, as texts."""
        validator = self._validator(json.dumps(schema))
        return [
            f"{'/'.join(map(str, error.absolute_path)) or '.'}: {error.message[:300]}"
            for error in validator.iter_errors(value)
        ]

    def faults_in(self, name, value):
        """As faults(), by the name of a schema."""
        return self.faults({"$ref": f"#/components/schemas/{name}"}, value)

    def _from_text(self, schema, text):
        """A value as it stands in a URL or in a header."""
        kind = self.resolved(schema).get("type")
        try:
            if kind == "integer":
                return int(text)
            if kind == "number":
                return float(text)
        except ValueError:
            return text
        return {"true": True, "false": False}.get(text, text) if kind == "boolean" else text

    # --- Requests ---

    def faults_of_request(self, operation, path, query, headers, body):
        """Why the document calls this request wrong; nothing where it is right."""
        faults = []
        values = operation.values_in(path)
        rest = {}
        for name, text in query:
            rest.setdefault(name, []).append(text)
        for parameter in operation.parameters:
            name, where = parameter["name"], parameter["in"]
            if where == "path":
                texts = [values[name]]
            elif where == "header":
                texts = [headers[name]] if name in headers else []
            elif parameter.get("explode"):  # an object whose fields are parameters of their own
                faults += self._faults_of_fields(parameter["schema"], rest)
                continue
            else:
                texts = rest.pop(name, [])
            if len(texts) > 1:
                faults.append(f"{name} is there twice")
            if not texts and parameter.get("required"):
                faults.append(f"{name} is missing")
            for text in texts:
                value = self._from_text(parameter["schema"], text)
                faults += [f"{name}: {each}" for each in self.faults(parameter["schema"], value)]
        faults += [f"{name} is no parameter" for name in rest]
        return faults + self._faults_of_request_body(operation, headers, body)

    def _faults_of_fields(self, schema, rest):
        known = self.resolved(schema)
        fields = {
            name: self._from_text(known["properties"].get(name, {}), texts[0])
            for name, texts in rest.items()
        }
        rest.clear()
        return self.faults(schema, fields)

    def _faults_of_request_body(self, operation, headers, body):
        described = operation.item.get("requestBody")
        if described is None:
            return ["it takes no body"] if body else []
        if not body:
            return ["a body is missing"] if described["required"] else []
        content_type = headers.get("Content-Type", "application/json")
        content = has_type(content_type)(described["content"])
        if content is None:
            return [f"no body of the type {content_type}"]
        if media_type_of(content_type) not in described["content"]:
            return []  # raw
        try:
            value = json.loads(body)
        except ValueError as error:
            return [str(error)]
        return self.faults(content["schema"], value)

    # --- Answers ---

    def check_answer(self, method, path, status, headers, body):
        """Fails where the document does not have this answer. `body` is None for a stream."""
        said = f"{method} {path} was answered {status}: {(body or b'')[:500]!r}"
        for name, value in EVERYWHERE.items():
            assert headers.get(name) == value, f"{said}: {name}"
        operation = self.find(method, path)
        if method == "OPTIONS":
            assert status == 204 or status >= 400, said
            return None
        if operation is None or status in (417, 501, 505):
            assert status in ANYWHERE or status in (400, 401, 403, 429), said
            self.seen_anywhere.add(status)
            answer = self._answer_anywhere(status)
        else:
            assert status in operation.answers, f"{said}, which {operation.id} does not have"
            self.seen.add((operation.id, status))
            answer = operation.answers[status]
        self._check_headers(answer, headers, said)
        if method == "HEAD":
            assert not body, said
        elif body is None:
            assert has_type(headers["Content-Type"])(answer["content"]), said
        else:
            self._check_body(answer, headers, body, said)
        return operation

    def _answer_anywhere(self, status):
        names = {400: "Invalid", 401: "Unauthenticated", 403: "Forbidden", 429: "TooMany"}
        return self.json["components"]["responses"][(names | ANYWHERE)[status]]

    def _check_headers(self, answer, headers, said):
        for name, header in answer.get("headers", {}).items():
            header = self.resolved(header)
            if name not in headers:
                assert not header.get("required"), f"{said}: no {name}"
                continue
            value = self._from_text(header["schema"], headers[name])
            assert not self.faults(header["schema"], value), f"{said}: {name}: {headers[name]}"

    def _check_body(self, answer, headers, body, said):
        if "content" not in answer:
            assert body == b"", said
            assert "Content-Type" not in headers, said
            return
        content_type = headers["Content-Type"]
        content = has_type(content_type)(answer["content"])
        assert content is not None, f"{said}: of the type {content_type}"
        if media_type_of(content_type) not in answer["content"]:
            return  # the result of a task
        if not media_type_of(content_type).endswith("json"):
            return
        faults = self.faults(content["schema"], json.loads(body.decode("utf-8")))
        assert not faults, f"{said}\n" + "\n".join(faults)
