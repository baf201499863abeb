"""Where a server listens, with which certificate, and who may look around."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field
from pydantic_settings import NoDecode

from keeper_grpc.settings.values import Address, File, Origin, Port, Word, Workers, listed


class ListeningSettings(BaseModel):
    """Ports, addresses and TLS."""

    host: Word = Field(
        "127.0.0.1",
        description="address to listen on; 0.0.0.0 is every one of IPv4, :: every one there is",
    )
    port: Port = Field(50051, description="port to listen on; 0 picks a free one")
    workers: Workers = Field(
        1,
        description="processes that serve the port; each has KEEPER_POOL_SIZE connections and memory of its own",
    )
    admin_address: Annotated[Address | None, NoDecode] = Field(
        None,
        description="host:port of AdminService alone, which is then not on the other port; unset leaves it there",
    )
    allow_unauthenticated: bool = Field(
        False,
        description="true lets everyone who reaches the port call everything, where it is not this machine's alone and "
        "there is no authentication",
    )
    reflection: Literal["operate", "open", "off"] = Field(
        "operate",
        description="who may list services and messages by reflection: operate (that role), open (everyone) or off (nobody)",
    )
    tls_certificate: File | None = Field(
        None, description="certificate of the server with its chain, in PEM; unset is no TLS"
    )
    tls_key: File | None = Field(None, description="private key of that certificate, in PEM")
    tls_client_ca: File | None = Field(
        None,
        description="authorities of client certificates, in PEM, which every caller then needs; unset asks for none",
    )
    metrics_host: Word = Field(
        "127.0.0.1", description="address that Prometheus reads metrics from; 0.0.0.0 for every one"
    )
    metrics_port: Port | None = Field(
        None,
        description="port that Prometheus reads metrics from; unset is none, 0 picks a free one",
    )
    http_address: Annotated[Address | None, NoDecode] = Field(
        None,
        description="host:port of Connect, gRPC-Web and JSON over HTTP/1.1; unset is none, port 0 picks a free one",
    )
    http_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(listed)] = Field(
        (),
        description="origins of web pages that may call over HTTP, comma-separated, as https://app.example.com",
    )
