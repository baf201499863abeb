"""Write docs/reference.md from the protos' comments: `python tools/write_reference.py [--check]`.

With --check nothing is changed; the exit code is 1 when the committed page differs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)

from keeper_grpc.gen.buf.validate import validate_pb2

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference.md"
PACKAGE = "keeper.network.v1"

SERVICES = ("NetworkLearningService", "AdminService")
"""In the order of the page."""

HEAD = f"""# Reference

Every call, message and enum of `{PACKAGE}`, written from the comments of `protos/` by `make gen`; change it there.
What holds across calls is in [api.md](api.md), and a line of grpcurl for each call in [grpcurl.md](grpcurl.md).
"Rules" are [protovalidate](https://github.com/bufbuild/protovalidate)'s, as they stand in the proto: a request that breaks
one is refused with INVALID_REQUEST.
"""

_SCALARS = {
    number: name.removeprefix("TYPE_").lower()
    for name, number in FieldDescriptorProto.Type.items()
    if name not in {"TYPE_MESSAGE", "TYPE_ENUM", "TYPE_GROUP"}
}

# Numbers of fields in descriptor.proto, of which a path in a SourceCodeInfo consists.
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
_FIELDS, _NESTED, _NESTED_ENUMS, _ONEOFS = 2, 3, 4, 8
_METHODS = _VALUES = 2

Place = tuple[int, ...]


class File:
    """A proto file, with the comment of each of its places."""

    def __init__(self, proto: FileDescriptorProto) -> None:
        self.proto = proto
        self._comments = {
            tuple(location.path): " ".join(location.leading_comments.split())
            for location in proto.source_code_info.location
        }

    def comment(self, place: Place) -> str:
        """The comment before a place, as one line."""
        return self._comments.get(place, "")

    def services(self) -> Iterator[tuple[ServiceDescriptorProto, Place]]:
        """The services, with their places."""
        for number, service in enumerate(self.proto.service):
            yield service, (_SERVICES, number)

    def messages(self) -> Iterator[tuple[str, DescriptorProto, Place]]:
        """The messages with their full names, those inside of others behind them."""
        for number, message in enumerate(self.proto.message_type):
            yield from _messages(message, message.name, (_MESSAGES, number))

    def enums(self) -> Iterator[tuple[str, EnumDescriptorProto, Place]]:
        """The enums, those inside of messages behind the others."""
        for number, enum in enumerate(self.proto.enum_type):
            yield enum.name, enum, (_ENUMS, number)
        for name, message, place in self.messages():
            for number, enum in enumerate(message.enum_type):
                yield f"{name}.{enum.name}", enum, (*place, _NESTED_ENUMS, number)


def _messages(
    message: DescriptorProto, name: str, place: Place
) -> Iterator[tuple[str, DescriptorProto, Place]]:
    yield name, message, place
    for number, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            yield from _messages(nested, f"{name}.{nested.name}", (*place, _NESTED, number))


def read_protos(descriptors: FileDescriptorSet) -> list[File]:
    """Our files among those of an image."""
    return [File(proto) for proto in descriptors.file if proto.package == PACKAGE]


def page(files: Sequence[File]) -> str:
    """The whole page."""
    parts = [HEAD]
    services = {
        service.name: (file, service, place) for file in files for service, place in file.services()
    }
    for name in (*SERVICES, *sorted(services.keys() - set(SERVICES))):
        parts.extend(_service(*services[name]))
    # The file of a service holds its requests and answers, which readers look for first.
    in_order = sorted(files, key=lambda file: (_rank(file), file.proto.name))
    parts.append("## Messages\n")
    for file in in_order:
        for name, message, place in file.messages():
            parts.extend(_message(file, name, message, place))
    parts.append("## Enums\n")
    for file in in_order:
        for name, enum, place in file.enums():
            parts.extend(_enum(file, name, enum, place))
    return "\n".join(parts)


def _rank(file: File) -> int:
    names = [service.name for service, _ in file.services()]
    return min((SERVICES.index(name) for name in names if name in SERVICES), default=len(SERVICES))


def _service(file: File, service: ServiceDescriptorProto, place: Place) -> Iterator[str]:
    yield f"## {service.name}\n"
    yield file.comment(place) + "\n"
    yield "| call | request | answer | meaning |"
    yield "|---|---|---|---|"
    for number, method in enumerate(service.method):
        yield _row(
            f"`{method.name}`",
            *_types_of_call(method),
            file.comment((*place, _METHODS, number)),
        )
    yield ""


def _types_of_call(method: MethodDescriptorProto) -> tuple[str, str]:
    asked, answered = _link(method.input_type), _link(method.output_type)
    return (
        f"stream of {asked}" if method.client_streaming else asked,
        f"stream of {answered}" if method.server_streaming else answered,
    )


def _message(file: File, name: str, message: DescriptorProto, place: Place) -> Iterator[str]:
    yield f"### {name}\n"
    yield file.comment(place) + "\n"
    if not message.field:
        yield "It has no fields.\n"
        return
    entries = {nested.name: nested for nested in message.nested_type if nested.options.map_entry}
    rules = [rules_of(field) for field in message.field]
    yield _row("field", "type", "meaning", *(["rules"] if any(rules) else []))
    yield _row("---", "---", "---", *(["---"] if any(rules) else []))
    for number, field in enumerate(message.field):
        yield _row(
            f"`{field.name}`",
            _type_of_field(field, entries),
            _meaning(file, message, place, number),
            *([rules[number]] if any(rules) else []),
        )
    yield ""


def _meaning(file: File, message: DescriptorProto, place: Place, number: int) -> str:
    field = message.field[number]
    said = file.comment((*place, _FIELDS, number))
    if field.options.deprecated:
        said = f"Deprecated. {said}"
    if field.HasField("oneof_index") and not field.proto3_optional:
        oneof = message.oneof_decl[field.oneof_index].name
        said = f"{said} One of `{oneof}`."
    return said


def _type_of_field(field: FieldDescriptorProto, entries: Mapping[str, DescriptorProto]) -> str:
    entry = entries.get(field.type_name.rpartition(".")[2])
    if entry is not None:
        key, value = entry.field
        return f"map of {_type_of_field(key, {})} to {_type_of_field(value, {})}"
    kind = _link(field.type_name) if field.type_name else _SCALARS[field.type]
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return f"repeated {kind}"
    return f"optional {kind}" if field.proto3_optional else kind


def _link(type_name: str) -> str:
    name = type_name.removeprefix(".")
    ours = name.removeprefix(f"{PACKAGE}.")
    # The anchor that the heading of the type gets: small letters, without dots.
    return f"[{ours}](#{ours.lower().replace('.', '')})" if ours != name else f"`{name}`"


def rules_of(field: FieldDescriptorProto) -> str:
    """What a request must hold: protovalidate's rules of a field, of a CEL expression what it says."""
    rules = validate_pb2.FieldRules()
    rules.CopyFrom(field.options.Extensions[validate_pb2.field])
    expressions = [rule.message for rule in rules.cel]
    del rules.cel[:]
    declared = text_format.MessageToString(rules, as_one_line=True).strip()
    return "; ".join([f"`{declared}`"] * bool(declared) + expressions)


def _enum(file: File, name: str, enum: EnumDescriptorProto, place: Place) -> Iterator[str]:
    yield f"### {name}\n"
    yield file.comment(place) + "\n"
    yield "| value | number | meaning |"
    yield "|---|---|---|"
    for number, value in enumerate(enum.value):
        said = file.comment((*place, _VALUES, number))
        yield _row(
            f"`{value.name}`",
            str(value.number),
            f"Deprecated. {said}" if value.options.deprecated else said,
        )
    yield ""


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def built_image() -> FileDescriptorSet:
    """The protos as they are, with their comments."""
    done = subprocess.run(
        [str(ROOT / ".venv/bin/buf"), "build", "protos", "--as-file-descriptor-set", "-o", "-"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return FileDescriptorSet.FromString(done.stdout)


def main() -> int:
    """Write, or check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare")
    check = parser.parse_args().check
    fresh = page(read_protos(built_image()))
    if not check:
        PAGE.write_text(fresh)
        return 0
    if PAGE.exists() and PAGE.read_text() == fresh:
        return 0
    print("docs/reference.md differs from the protos' comments: run `make gen`", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
