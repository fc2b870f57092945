"""Classes of protobuf messages from tables of their fields: for protocols that have no package.

In: fields by message name. Out: classes that read and write such messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Fields = Mapping[str, tuple[tuple[str, int, int, int, str], ...]]
"""By message, its fields: (name, number, type, label, message that it holds or ""); numbers are descriptor.proto's."""


def message_class(package: str, fields: Fields, name: str) -> Any:
    """The class of message `name`; with texts declared as bytes, invalid UTF-8 is mended instead of refused."""
    return message_classes(package, fields)[name]


def message_classes(package: str, fields: Fields) -> Mapping[str, Any]:
    """The classes of all messages, by name."""
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    for each, its_fields in fields.items():
        message = file.message_type.add(name=each)
        for field, number, kind, label, of in its_fields:
            type_name = f".{package}.{of}" if of else None
            message.field.add(name=field, number=number, type=kind, label=label, type_name=type_name)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {each: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{each}")) for each in fields}
