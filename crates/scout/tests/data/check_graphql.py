"""Validates GraphQL documents against a schema with graphql-core, the reference implementation's port."""

import sys

from graphql import build_schema, parse, validate

schema = build_schema(open(sys.argv[1], encoding="utf-8").read())
problems = []
for path in sys.argv[2:]:
    document = parse(open(path, encoding="utf-8").read())
    problems += [f"{path}: {error.message}" for error in validate(schema, document)]
print("\n".join(problems), end="")
