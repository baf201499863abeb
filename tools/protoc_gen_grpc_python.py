"""A protoc plugin for gRPC's Python stubs, which grpcio-tools has built in but does not expose.

buf speaks the plugin protocol (a CodeGeneratorRequest on stdin, a response on stdout); grpcio-tools
speaks only protoc's command line. This stands between the two.
"""

import sys
import tempfile
from pathlib import Path

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc


def main() -> None:
    """Answer one plugin request."""
    request = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    response = CodeGeneratorResponse(
        supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL
    )
    # protoc reports a service-less file as an empty module; nobody would import it.
    with_services = [
        file.name
        for file in request.proto_file
        if file.service and file.name in request.file_to_generate
    ]
    if with_services:
        run_protoc(request, with_services, response)
    sys.stdout.buffer.write(response.SerializeToString())


def run_protoc(
    request: CodeGeneratorRequest, with_services: list[str], response: CodeGeneratorResponse
) -> None:
    """Let protoc generate the stubs of `with_services` and copy them into the response."""
    with tempfile.TemporaryDirectory() as directory:
        out = Path(directory)
        descriptors = out / "descriptors.binpb"
        descriptors.write_bytes(FileDescriptorSet(file=request.proto_file).SerializeToString())
        code = protoc.main(
            [
                "protoc",
                f"--descriptor_set_in={descriptors}",
                f"--grpc_python_out={out}",
                *with_services,
            ]
        )
        if code:
            response.error = f"grpc_tools.protoc exited with {code}"
        for stub in sorted(out.rglob("*_pb2_grpc.py")):
            response.file.add(name=str(stub.relative_to(out)), content=stub.read_text())


if __name__ == "__main__":
    main()
