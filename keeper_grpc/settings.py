"""Every setting, typed, from the environment. An invalid one stops the start with a line that names it.

Each is an environment variable `KEEPER_<NAME>`, or a credential of systemd of that name. The descriptions are what `keeper serve --help` and
docs/operations.md show.
"""

from __future__ import annotations

import base64
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    HttpUrl,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticUseDefault
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from keeper_grpc.environment import Unknown, is_service_address, unknown_variables
from keeper_grpc.operator_error import OperatorError

PREFIX = "KEEPER_"

CLIENT_VARIABLES = frozenset({"KEEPER_TOKEN", "KEEPER_TOKEN_FILE"})
"""What the commands that call a server read, and no server does."""

DIMENSIONS = 1536
"""Width of a stored vector (embedding/embedder.py)."""

LONGEST = timedelta(days=36_500)
"""Of every duration: one that means "never", with which times before and after now are still dates."""


class SettingsInvalid(OperatorError):
    """One line for each setting that is wrong. Never a value: it may be a secret."""


def _default_data_dir() -> Path:
    """The state directory of a service for root (FHS), of a user otherwise (XDG base directories)."""
    if os.geteuid() == 0:
        return Path("/var/lib/keeper")
    try:
        shared = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    except RuntimeError:
        # A container's arbitrary user id.
        raise SettingsInvalid(
            "KEEPER_DATA_DIR: required, since the user has no home directory"
        ) from None
    return Path(shared) / "keeper"


def _credentials() -> Path | None:
    """Where systemd puts a service's credentials: one file a setting, named like its variable.

    A variable of the environment has precedence.
    """
    directory = Path(os.environ.get("CREDENTIALS_DIRECTORY", ""))
    return directory if directory.is_absolute() and directory.is_dir() else None


def _seconds(value: object) -> object:
    """Plain numbers are seconds: `KEEPER_DRAIN_GRACE=10`."""
    if isinstance(value, str):
        try:
            return timedelta(seconds=float(value))
        except ValueError:
            return value
        except OverflowError:
            return LONGEST + timedelta.resolution
    return value


def _duration(
    longest: timedelta, *, zero: bool = False, shortest: timedelta = timedelta(0)
) -> AfterValidator:
    """From `shortest` up to `longest`; nothing at all only with `zero`."""

    def check(value: timedelta) -> timedelta:
        if value < timedelta(0) or (not value and not zero):
            least = "at least" if zero else "more than"
            raise PydanticCustomError("too_short", "must be {least} 0 seconds", {"least": least})
        if value < shortest:
            raise PydanticCustomError(
                "too_short", "must be at least {days} days", {"days": shortest.days}
            )
        if value > longest:
            raise PydanticCustomError(
                "too_long", "must be at most {days} days", {"days": longest.days}
            )
        return value

    return AfterValidator(check)


def _unless_of_a_service(value: object) -> object:
    """Kubernetes sets `KEEPER_PORT=tcp://10.96.0.12:50051` where a Service is called `keeper`."""
    if isinstance(value, str) and is_service_address(value):
        raise PydanticUseDefault
    return value


def _not_empty(value: object) -> object:
    """An empty path would be the working directory, an empty address every one, an empty DSN libpq's."""
    if isinstance(value, str) and not value.strip():
        raise PydanticCustomError("empty", "must not be empty; unset it for the default")
    return value


def _text(value: object) -> object:
    """Bytes of the environment that are not UTF-8 come as surrogates, which no database or socket takes."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise PydanticCustomError("not_text", "must be text in UTF-8") from None
    return value


def _web_address(value: str) -> str:
    address = _HTTP_URL.validate_python(value)
    if address.query or address.fragment:
        raise PydanticCustomError(
            "not_a_base", "must end with its path; KEEPER_OPENAI_API_VERSION gives Azure's version"
        )
    return value


def _stripped(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _address(value: object) -> object:
    """Host and port of `127.0.0.1:8081` or `[::1]:8081`."""
    if not isinstance(value, str):
        return value
    host, colon, port = value.strip().rpartition(":")
    bare = host.startswith("[") == host.endswith("]") and (host.startswith("[") or ":" not in host)
    if not (colon and host.strip("[]") and bare and port.isascii() and port.isdigit()):
        raise PydanticCustomError("not_an_address", "must be host:port, as 127.0.0.1:8081")
    return host.strip("[]"), int(port)


def _listed(value: object) -> object:
    if isinstance(value, str):
        return tuple(part for part in map(str.strip, value.split(",")) if part)
    return value


def _origin(value: str) -> str:
    if not _ORIGIN.fullmatch(value):
        raise PydanticCustomError(
            "not_an_origin", "must be scheme://host or scheme://host:port, as a browser sends it"
        )
    return value


def _storable_width(value: int | None) -> int | None:
    if value is not None and not 0 < value <= DIMENSIONS:
        raise PydanticCustomError(
            "width", "must be 1 to {most}, the width of a stored vector", {"most": DIMENSIONS}
        )
    return value


def _api_key(value: object) -> object:
    """None for an empty variable, which compose files and shells leave when there is no key.

    A key out of a file or a secret often ends with a line break.
    """
    if not isinstance(value, str):
        return value
    value = value.strip()
    if value and not (value.isascii() and value.isprintable()):
        # It travels in a header.
        raise PydanticCustomError("not_ascii", "must be printable ASCII")
    return value or None


_HTTP_URL = TypeAdapter(HttpUrl)
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")
_AZURE = re.compile(r"\.(openai|cognitiveservices|services\.ai)\.azure\.com$")

Seconds = Annotated[timedelta, BeforeValidator(_seconds), _duration(LONGEST)]
AnySeconds = Annotated[timedelta, BeforeValidator(_seconds), _duration(LONGEST, zero=True)]
# With less, a month without outcomes would leave next to nothing of all that was learned; and the weights by age that
# are stored, which double with each half-life, hold 1,000 doublings: 19 years of a week each.
HalfLife = Annotated[
    timedelta, BeforeValidator(_seconds), _duration(LONGEST, shortest=timedelta(days=7))
]
# PostgreSQL counts it in milliseconds, in 32 bits.
StatementSeconds = Annotated[timedelta, BeforeValidator(_seconds), _duration(timedelta(days=24))]
# The database has them as 32-bit integers, and multiplies k.
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Accounts = Annotated[int, Field(ge=2, le=1_000_000)]
Port = Annotated[int, BeforeValidator(_unless_of_a_service), Field(ge=0, le=65535)]
Address = Annotated[
    tuple[Annotated[str, Field(min_length=1)], Annotated[int, Field(ge=0, le=65535)]],
    NoDecode,
    BeforeValidator(_address),
]
Workers = Annotated[int, Field(ge=1, le=128)]
Text = Annotated[str, BeforeValidator(_text)]
Secret = Annotated[SecretStr | None, BeforeValidator(_text)]
Word = Annotated[Text, BeforeValidator(_not_empty)]
Origin = Annotated[Text, AfterValidator(_origin)]
Directory = Annotated[Path, BeforeValidator(_not_empty)]
File = Annotated[Path, BeforeValidator(_not_empty)]
Calls = Annotated[float, Field(gt=0, le=1_000_000)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Limit = Annotated[float, Field(gt=0, le=1)]


class Settings(BaseSettings):
    """The settings of one process."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="ignore", frozen=True, populate_by_name=True
    )

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
    identities_file: File | None = Field(
        None,
        description="YAML file of identities: their tokens by hash, certificates, roles and accounts (docs/security.md)",
    )
    jwt_keys: Word | None = Field(
        None,
        description="JSON Web Key Set of the identity provider, a file or an https address; unset takes no JWT",
    )
    jwt_issuer: Word | None = Field(None, description="issuer that a JWT must have")
    jwt_audience: Word | None = Field(
        None, description="audience that a JWT must have, one of these if comma-separated"
    )
    jwt_algorithms: Word = Field(
        "RS256,ES256,EdDSA",
        description="algorithms of signatures that are accepted, comma-separated",
    )
    jwt_leeway: AnySeconds = Field(
        timedelta(seconds=30), description="difference of clocks that a JWT's times may have"
    )
    jwt_refresh: Seconds = Field(
        timedelta(minutes=5), description="time between looks for newer keys at an address"
    )
    jwt_roles_claim: Word = Field("keeper_roles", description="claim that lists the roles")
    jwt_accounts_claim: Word = Field(
        "keeper_accounts", description='claim that lists the accounts, or is "all"'
    )
    jwt_owners_claim: Word = Field("keeper_owners", description="claim that lists the owners")
    identity_rate: Calls | None = Field(
        None,
        description="calls and questions a second that an identity may make on average, unless its entry says "
        "otherwise; unset is no limit",
    )
    identity_burst: Calls | None = Field(
        None, description="calls that it may make at once after a pause; unset is a second's worth"
    )
    identity_concurrency: Count | None = Field(
        None, description="calls and streams that it may have open; unset is no limit"
    )
    max_call_duration: Seconds = Field(
        timedelta(seconds=30), description="longest unary call, also for clients without a deadline"
    )
    question_deadline: Seconds = Field(
        timedelta(seconds=20),
        description="longest EnhanceInsight, PreviewInsight, SuggestMoves or GenerateTask of a client that set no deadline, its wait for "
        "a turn included",
    )
    read_deadline: Seconds = Field(
        timedelta(seconds=10),
        description="the same of GetPattern, ListPatterns, GetNetworkMetrics and GetAccountValue",
    )
    drain_delay: AnySeconds = Field(
        timedelta(0),
        description="time at SIGTERM in which health says NOT_SERVING and calls are still taken, so that a balancer that "
        "looks at health turns away first",
    )
    drain_grace: Seconds = Field(
        timedelta(seconds=10),
        description="time that calls in flight get to finish at SIGTERM, after the delay",
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
    http_origins: Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_listed)] = Field(
        (),
        description="origins of web pages that may call over HTTP, comma-separated, as https://app.example.com",
    )

    database_url: Annotated[Secret, BeforeValidator(_not_empty)] = Field(
        None, description="PostgreSQL with pgvector; unset starts the bundled server"
    )
    replica_database_url: Annotated[Secret, BeforeValidator(_not_empty)] = Field(
        None,
        description="a streaming standby of KEEPER_DATABASE_URL, for patterns, metrics and snapshots of streams; "
        "unset reads all from the primary",
    )
    replica_max_lag: Seconds = Field(
        timedelta(seconds=1),
        description="staleness from which reads leave the replica for the primary, until it has caught up",
    )
    data_dir: Directory = Field(
        default_factory=_default_data_dir,
        description="where the bundled database and the generated pseudonym key live; "
        "/var/lib/keeper for root, else ~/.local/share/keeper",
    )
    pool_size: int = Field(10, ge=4, le=1_000, description="most database connections")
    acquire_timeout: Seconds = Field(
        timedelta(seconds=5), description="longest wait for a connection of the pool"
    )
    statement_timeout: StatementSeconds = Field(
        timedelta(seconds=10), description="longest single database statement"
    )
    ann_scope_size: Count = Field(
        100_000, description="patterns of one scope from which enhancing searches approximately"
    )
    published_memory: int = Field(
        1024,
        ge=0,
        le=1_000_000,
        description="megabytes of published patterns that the process keeps in memory to answer questions from, 3 to 8 "
        "KB a pattern; 0 lets the database answer",
    )
    places_memory: int = Field(
        512,
        ge=0,
        le=1_000_000,
        description="megabytes of where patterns lie that the process keeps in memory to place captures among them, 4 to "
        "12 KB a pattern; 0 lets the database search",
    )
    maintenance_interval: Seconds = Field(
        timedelta(hours=1), description="time between checks for scopes that need an index"
    )
    migration_lock_timeout: StatementSeconds = Field(
        timedelta(seconds=5),
        description="longest wait of a migration for a table that others use; calls wait behind it",
    )
    startup_timeout: Seconds = Field(
        timedelta(seconds=30), description="longest wait for the database at the start"
    )

    embedder: Literal["auto", "local", "minilm", "openai"] = Field(
        "auto",
        description="auto is the database's own model; of a database without one, openai when there is a "
        "key, else local",
    )
    local_model_dir: Directory | None = Field(
        None, description="sentence-transformers ONNX directory to use instead of the bundled model"
    )
    openai_api_key: Annotated[SecretStr | None, BeforeValidator(_api_key)] = Field(
        None,
        validation_alias=AliasChoices("KEEPER_OPENAI_API_KEY", "OPENAI_API_KEY", "openai_api_key"),
        description="key of the OpenAI API; OPENAI_API_KEY is read too",
    )
    openai_base_url: Annotated[str, BeforeValidator(_stripped), AfterValidator(_web_address)] = (
        Field(
            "https://api.openai.com/v1",
            description="base URL of the OpenAI API, of one like it, or of an Azure resource",
        )
    )
    openai_model: Word = Field(
        "text-embedding-3-small", description="embedding model of the OpenAI API"
    )
    openai_dimensions: Annotated[int | None, AfterValidator(_storable_width)] = Field(
        None,
        description="dimensions to ask that model for, at most 1536; unset is its own, and 1536 of "
        "text-embedding-3-large",
    )
    openai_api_version: Word | None = Field(
        None, description="api-version of Azure OpenAI, which also makes the key an api-key header"
    )
    openai_deployment: Word | None = Field(
        None, description="Azure's name of the deployment; unset is the model's"
    )
    openai_attempt_timeout: Seconds = Field(
        timedelta(seconds=5), description="longest single attempt at an embedding"
    )
    openai_total_timeout: Seconds = Field(
        timedelta(seconds=15), description="longest embedding, all retries included"
    )
    openai_max_retries: int = Field(2, ge=0, le=10, description="retries of an embedding")
    openai_concurrency: Count = Field(8, description="embedding requests in flight at most")
    openai_circuit_failures: Count = Field(
        5,
        description="failed embedding requests in a row after which no more are made (the circuit opens)",
    )
    openai_circuit_pause: Seconds = Field(
        timedelta(seconds=10),
        description="time after which an open circuit tries the embedding service again, by one request",
    )
    enhance_without_embedder: bool = Field(
        True,
        description="answer questions unenhanced, with EMBEDDER_UNAVAILABLE as the reason, while the embedding model does "
        "not answer; false ends them with UNAVAILABLE",
    )
    embedding_cache_size: Count = Field(
        10_000,
        description="vectors kept in memory, 6 KB each; the database keeps KEEPER_EMBEDDING_STORE_SIZE",
    )

    embedding_store_size: Count = Field(
        1_000_000,
        description="vectors that the database keeps, 6 KB each; the least recently used go first",
    )

    seed_catalog: bool = Field(
        True,
        description="seed the catalog at the first start on a database, and again when a release has a "
        "newer one; false leaves it to keeper seed",
    )

    pseudonym_keys: Secret = Field(
        None,
        description="id:base64[,id:base64...], keys of the account pseudonyms, the current one "
        "first, the same on every host; unset makes one in the data directory, which only the bundled "
        "database allows",
    )
    min_accounts: Accounts = Field(
        3, description="k: distinct owners of accounts behind anything that is published"
    )
    complaint_limit: Limit = Field(
        0.02,
        description="share of outcomes with a complaint above which, with 95% certainty, a pattern is not advised",
    )
    unsubscribe_limit: Limit = Field(
        0.05,
        description="share of outcomes with an unsubscription above which, with 95% certainty, a pattern is not "
        "advised",
    )
    open_accounts: bool | None = Field(
        None,
        description="true counts accounts that were never registered towards k, too; unset is true with "
        "the bundled database and false with another",
    )
    account_min_age: AnySeconds | None = Field(
        None,
        description="time since an account's first call or registration from which it counts; unset is "
        "0 with open accounts, else a day",
    )
    account_min_active_days: int | None = Field(
        None,
        ge=0,
        le=36_500,
        description="days with an observation of an account from which it counts; unset is 0 with open "
        "accounts, else 2",
    )
    qualification_interval: Seconds = Field(
        timedelta(minutes=1), description="time between looks for accounts that have begun to count"
    )
    prior_interval: Seconds = Field(
        timedelta(minutes=1),
        description="time between turns of learning patterns' priors and scripts' lifts from each other",
    )
    word_approval: Literal["automatic", "manual"] = Field(
        "automatic",
        description="manual lets a word that k owners use pass only after keeper words approve",
    )
    tombstone_retention: Seconds = Field(
        timedelta(days=30),
        description="time for which a forgotten account cannot come back without an operator",
    )
    shared_keys: Text = Field(
        "", description="condition keys to share beyond the built-in ones, comma-separated"
    )

    evidence_half_life: HalfLife = Field(
        timedelta(days=45),
        description="age, a week at least, at which an outcome counts half in what is expected of a pattern, in a situation and of "
        "a script; on real contacts in time order 30 and 45 days were alike in squared error, 30 nearer where outcomes are "
        "many, and 60 or more followed a change too late (docs/adr/0015)",
    )
    counting_step: int = Field(
        5,
        ge=1,
        le=100,
        description="outcomes of an account that begin to count in a pattern at a time, after its first, and in the "
        "metrics; 1 counts each as it comes, so that whoever looks before and after reads it",
    )
    holdout_share: Ratio = Field(
        0.0, description="share of questions left without advice, to measure what advice is worth"
    )
    script_exploration: Ratio = Field(
        0.5,
        description="share of enhancements whose script is drawn while it is as likely as not that another is better; "
        "wordings of one action differ by a few points, so that a draw costs little",
    )
    pattern_exploration: Ratio = Field(
        0.05,
        description="share of enhancements whose pattern is drawn among those that may be the best; patterns differ "
        "by more than scripts do",
    )
    exploration_loss: Ratio = Field(
        0.01,
        description="success that each of both may cost an enhancement at most, by what is known: their shares "
        "are cut to it",
    )

    emerging_window: Seconds = Field(
        timedelta(days=7), description="how far back emerging patterns look"
    )
    emerging_min_accounts: Accounts = Field(
        3, description="distinct accounts that make a cluster emerge"
    )
    emerging_min_similarity: Ratio | None = Field(
        None, description="mean similarity that makes a cluster emerge; unset is the model's own"
    )
    emerging_full_pass: Seconds = Field(
        timedelta(minutes=10),
        description="time between passes that cluster the whole window from scratch, to correct drift",
    )
    proven_lower_bound: Ratio = Field(
        0.60, description="lower bound of the success rate from which a pattern counts as proven"
    )
    stream_heartbeat: Seconds = Field(
        timedelta(seconds=15), description="silence after which a stream sends a heartbeat"
    )
    stream_in_flight: Count = Field(
        32, description="questions of one EnhanceInsights stream that are worked on at once"
    )
    stream_buffer: Count = Field(
        1_000, description="changes a stream may lag behind before it is cut off"
    )
    stream_stall: Seconds = Field(
        timedelta(seconds=30),
        description="time a message may wait for its reader before the cut-off",
    )
    stream_max_age: Seconds = Field(
        timedelta(hours=1),
        description="age, give or take a fifth, at which a stream ends and its reader resumes",
    )
    event_retention: Seconds = Field(
        timedelta(days=30),
        description="time for which a stream can be resumed; older events are deleted",
    )

    enhancement_retention: Seconds = Field(
        timedelta(days=90),
        description="time for which an outcome of advice can be reported; older questions without one are rolled up "
        "by account and day",
    )
    request_retention: Seconds = Field(
        timedelta(days=365),
        description="time for which a retry is recognized by its request_id; a later one counts again",
    )
    word_retention: Seconds = Field(
        timedelta(days=365),
        description="time for which the use of a word that fewer than k owners use is remembered",
    )
    audit_retention: Seconds = Field(
        timedelta(days=730), description="time for which what operators did can be listed"
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least level that is logged"
    )
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto is console on a terminal, else json"
    )

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the environment, and what a supervisor hands over in files.

        Raises SettingsInvalid, which names misspelt variables as well.
        """
        try:
            return cls(_secrets_dir=_credentials())
        except ValidationError as error:
            lines = [
                f"{_variable(problem['loc'] or ('openai_api_key',))}: {problem['msg']}"
                for problem in error.errors()
            ]
            lines += map(str, cls.unknown())
            raise SettingsInvalid("\n".join(lines)) from None

    @model_validator(mode="before")
    @classmethod
    def _strip(cls, given: object) -> object:
        """A value out of a file, a secret or a form often ends with a space or a line break."""
        if not isinstance(given, dict):
            return given
        return {
            name: value.strip() if isinstance(value, str) else value
            for name, value in given.items()
        }

    @model_validator(mode="after")
    def _names_azures_version(self) -> Self:
        address = HttpUrl(self.openai_base_url)
        classic = "/openai/v1" not in (address.path or "")
        if _AZURE.search(address.host or "") and classic and self.openai_api_version is None:
            raise SettingsInvalid(
                "KEEPER_OPENAI_API_VERSION: required with an Azure resource as KEEPER_OPENAI_BASE_URL "
                "(or let that end in /openai/v1)"
            )
        if self.openai_deployment is not None and self.openai_api_version is None:
            raise SettingsInvalid(
                "KEEPER_OPENAI_DEPLOYMENT: is Azure's, and needs KEEPER_OPENAI_API_VERSION beside it; "
                "elsewhere KEEPER_OPENAI_MODEL names the model"
            )
        return self

    @model_validator(mode="after")
    def _has_the_key_it_needs(self) -> Self:
        # The only rule about two settings; the line of `from_environment` names the one to set.
        if self.embedder == "openai" and self.openai_api_key is None:
            raise PydanticCustomError("required", "required when KEEPER_EMBEDDER is openai")
        return self

    @classmethod
    def unknown(cls) -> list[Unknown]:
        """Variables of the environment that look like settings but are not."""
        known = {PREFIX + name.upper() for name in cls.model_fields} | CLIENT_VARIABLES
        directory = _credentials()
        files = [(file.name, "") for file in directory.iterdir()] if directory else []
        return unknown_variables([*os.environ.items(), *files], PREFIX, known)

    @property
    def address(self) -> str:
        """Host and port as gRPC takes them: an IPv6 address in brackets."""
        host = self.host.strip("[]")
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    def pseudonym_key_map(self) -> dict[str, bytes] | None:
        """The pseudonym keys by id, the current one first. Raises SettingsInvalid."""
        if self.pseudonym_keys is None:
            return None
        keys: dict[str, bytes] = {}
        for item in self.pseudonym_keys.get_secret_value().split(","):
            key_id, _, encoded = item.strip().partition(":")
            if key_id in keys:
                raise SettingsInvalid("KEEPER_PSEUDONYM_KEYS: a key id occurs twice")
            try:
                keys[key_id] = base64.b64decode(encoded, validate=True)
            except ValueError:
                raise SettingsInvalid(
                    "KEEPER_PSEUDONYM_KEYS: write id:base64[,id:base64...], "
                    "the same on every host that serves this database"
                ) from None
        return keys


def _variable(location: tuple[int | str, ...]) -> str:
    name = str(location[0]) if location else ""
    return name if name.isupper() else PREFIX + name.upper()
