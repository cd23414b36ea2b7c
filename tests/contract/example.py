"""The smallest valid value of a JSON schema, made by hand: a body to start hostile ones from. Pure.

Only what the node's document uses is known; anything else is an error, so that a new kind of field
does not go untested in silence.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
_UUID = "01890a5d-ac96-774b-bcce-b302099a8057"


def resolve(schema: Schema, document: dict[str, Any]) -> Schema:
    """Follows `$ref`, and takes the first alternative that is not null."""
    while True:
        if "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        elif alternatives := schema.get("anyOf", schema.get("oneOf")):
            schema = next(one for one in alternatives if one.get("type") != "null")
        else:
            return schema


def example(schema: Schema, document: dict[str, Any]) -> Any:
    """A small value that the schema takes: all that is required and nothing else."""
    schema = resolve(schema, document)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type")
    if kind == "object":
        properties = schema.get("properties", {})
        return {name: example(properties[name], document) for name in schema.get("required", ())}
    if kind == "array":
        return [example(schema["items"], document)]
    if kind == "string":
        return _UUID if schema.get("format") == "uuid" else "a" * max(1, schema.get("minLength", 1))
    if kind in ("integer", "number"):
        return max(1, schema.get("minimum", 1))
    assert kind is None, f"no example is known for {schema}"
    return 1  # any JSON
