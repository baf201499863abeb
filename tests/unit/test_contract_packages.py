from __future__ import annotations

from typing import Any

import pytest

from keeper_grpc.gen.keeper.network.v1 import (
    account_value_pb2,
    admin_service_pb2,
    adoption_pb2,
    emerging_pb2,
    insight_pb2,
    metrics_pb2,
    network_service_pb2,
    pattern_pb2,
)

FILES = [
    account_value_pb2,
    admin_service_pb2,
    adoption_pb2,
    emerging_pb2,
    insight_pb2,
    metrics_pb2,
    network_service_pb2,
    pattern_pb2,
]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.DESCRIPTOR.name)
def test_a_file_names_its_package_in_each_language(file: Any) -> None:
    """As buf's managed mode would, so that with and without it the generated code is called the same."""
    options = file.DESCRIPTOR.GetOptions()
    words = file.DESCRIPTOR.name.rpartition("/")[2].removesuffix(".proto").split("_")

    assert options.go_package.endswith("/keeper/network/v1;networkv1")
    assert options.java_package == "com.keeper.network.v1"
    assert options.java_multiple_files
    assert options.java_outer_classname == "".join(map(str.capitalize, words)) + "Proto"
    assert options.csharp_namespace == "Keeper.Network.V1"


def test_no_file_is_forgotten() -> None:
    """The list above is that of all files which the services' own ones import."""
    ours = {
        dependency.name
        for file in FILES
        for dependency in (file.DESCRIPTOR, *file.DESCRIPTOR.dependencies)
        if dependency.package == "keeper.network.v1"
    }
    assert ours == {file.DESCRIPTOR.name for file in FILES}
