from __future__ import annotations

import base64
import socket
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from keeper_grpc.app import application
from keeper_grpc.health import own_address
from keeper_grpc.settings import Settings, SettingsInvalid

SECRET = "hunter2-never-to-be-shown"
KEY = base64.b64encode(bytes(range(32))).decode()

BAD = [
    ("KEEPER_PORT", f"{SECRET}"),
    ("KEEPER_PORT", "65536"),
    ("KEEPER_PORT", "-1"),
    ("KEEPER_COUNTING_STEP", "0"),
    ("KEEPER_WORKERS", "0"),
    ("KEEPER_MAX_CALL_DURATION", "0"),
    ("KEEPER_MAX_CALL_DURATION", SECRET),
    ("KEEPER_QUESTION_DEADLINE", "0"),
    ("KEEPER_READ_DEADLINE", "0"),
    ("KEEPER_DRAIN_DELAY", "-1"),
    ("KEEPER_DRAIN_GRACE", "-5"),
    ("KEEPER_METRICS_PORT", "65536"),
    ("KEEPER_HTTP_ADDRESS", "8081"),
    ("KEEPER_HTTP_ADDRESS", ":8081"),
    ("KEEPER_HTTP_ADDRESS", "::1:8081"),
    ("KEEPER_HTTP_ADDRESS", "[::1:8081"),
    ("KEEPER_HTTP_ADDRESS", "host:99999"),
    ("KEEPER_HTTP_ADDRESS", f"host:{SECRET}"),
    ("KEEPER_HTTP_ORIGINS", "*"),
    ("KEEPER_HTTP_ORIGINS", "https://app.example.com/path"),
    ("KEEPER_POOL_SIZE", "3"),
    ("KEEPER_PLACES_MEMORY", "-1"),
    ("KEEPER_PUBLISHED_MEMORY", "-1"),
    ("KEEPER_POOL_SIZE", "1001"),
    ("KEEPER_ACQUIRE_TIMEOUT", "0"),
    ("KEEPER_STATEMENT_TIMEOUT", "0"),
    ("KEEPER_STATEMENT_TIMEOUT", "P25D"),
    ("KEEPER_STARTUP_TIMEOUT", "0"),
    ("KEEPER_ANN_SCOPE_SIZE", "0"),
    ("KEEPER_MAINTENANCE_INTERVAL", "0"),
    ("KEEPER_REPLICA_DATABASE_URL", " "),
    ("KEEPER_REPLICA_MAX_LAG", "0"),
    ("KEEPER_MIGRATION_LOCK_TIMEOUT", "0"),
    ("KEEPER_AUDIT_RETENTION", "0"),
    ("KEEPER_ENHANCEMENT_RETENTION", "0"),
    ("KEEPER_REQUEST_RETENTION", "0"),
    ("KEEPER_WORD_RETENTION", "0"),
    ("KEEPER_EMBEDDING_STORE_SIZE", "0"),
    ("KEEPER_EMBEDDER", SECRET),
    ("KEEPER_OPENAI_ATTEMPT_TIMEOUT", "0"),
    ("KEEPER_OPENAI_TOTAL_TIMEOUT", "0"),
    ("KEEPER_OPENAI_MAX_RETRIES", "11"),
    ("KEEPER_OPENAI_CONCURRENCY", "0"),
    ("KEEPER_OPENAI_CIRCUIT_FAILURES", "0"),
    ("KEEPER_OPENAI_CIRCUIT_PAUSE", "0"),
    ("KEEPER_EMBEDDING_CACHE_SIZE", "0"),
    ("KEEPER_MIN_ACCOUNTS", "1"),
    ("KEEPER_MIN_ACCOUNTS", "1000001"),
    ("KEEPER_ANN_SCOPE_SIZE", "2147483648"),
    ("KEEPER_EMERGING_WINDOW", "0"),
    ("KEEPER_EMERGING_MIN_ACCOUNTS", "1"),
    ("KEEPER_EMERGING_FULL_PASS", "0"),
    ("KEEPER_COMPLAINT_LIMIT", "0"),
    ("KEEPER_UNSUBSCRIBE_LIMIT", "1.01"),
    ("KEEPER_EMERGING_MIN_SIMILARITY", "1.01"),
    ("KEEPER_EMERGING_MIN_SIMILARITY", "nan"),
    ("KEEPER_PROVEN_LOWER_BOUND", "-0.1"),
    ("KEEPER_STREAM_HEARTBEAT", "0"),
    ("KEEPER_STREAM_BUFFER", "0"),
    ("KEEPER_STREAM_STALL", "0"),
    ("KEEPER_STREAM_MAX_AGE", "0"),
    ("KEEPER_EVENT_RETENTION", "0"),
    ("KEEPER_STREAM_IN_FLIGHT", "0"),
    ("KEEPER_EVIDENCE_HALF_LIFE", "0"),
    ("KEEPER_EVIDENCE_HALF_LIFE", "604799"),
    ("KEEPER_HOLDOUT_SHARE", "1.5"),
    ("KEEPER_SCRIPT_EXPLORATION", "1.5"),
    ("KEEPER_PATTERN_EXPLORATION", "1.5"),
    ("KEEPER_EXPLORATION_LOSS", "-0.1"),
    ("KEEPER_DRAIN_GRACE", "inf"),
    ("KEEPER_DRAIN_GRACE", "1e300"),
    ("KEEPER_EMERGING_WINDOW", "1e13"),
    ("KEEPER_STREAM_MAX_AGE", "P36501D"),
    ("KEEPER_HOST", ""),
    ("KEEPER_HOST", " "),
    ("KEEPER_HOST", "\udcff"),
    ("KEEPER_DATABASE_URL", "postgresql://\udcff@127.0.0.1/keeper"),
    ("KEEPER_PSEUDONYM_KEYS", f"\udcff:{KEY}"),
    ("KEEPER_SHARED_KEYS", "\udcff"),
    ("KEEPER_METRICS_HOST", ""),
    ("KEEPER_DATA_DIR", ""),
    ("KEEPER_LOCAL_MODEL_DIR", ""),
    ("KEEPER_DATABASE_URL", ""),
    ("KEEPER_ACCOUNT_MIN_ACTIVE_DAYS", "-1"),
    ("KEEPER_QUALIFICATION_INTERVAL", "0"),
    ("KEEPER_PRIOR_INTERVAL", "0"),
    ("KEEPER_TOMBSTONE_RETENTION", "0"),
    ("KEEPER_OPENAI_API_KEY", f"{SECRET}\n{SECRET}"),
    ("KEEPER_OPENAI_API_KEY", f"{SECRET}\N{EURO SIGN}"),
    ("KEEPER_OPENAI_BASE_URL", SECRET),
    ("KEEPER_OPENAI_BASE_URL", f"https://example.com/v1?api-version={SECRET}"),
    ("KEEPER_OPENAI_MODEL", " "),
    ("KEEPER_OPENAI_DIMENSIONS", "0"),
    ("KEEPER_OPENAI_DIMENSIONS", "3072"),
    ("KEEPER_OPENAI_API_VERSION", ""),
    ("KEEPER_OPENAI_DEPLOYMENT", ""),
    ("KEEPER_OPENAI_BASE_URL", f"ftp://{SECRET}"),
    ("KEEPER_OPENAI_BASE_URL", f"http://[::1{SECRET}"),
    ("KEEPER_LOG_LEVEL", SECRET),
    ("KEEPER_LOG_FORMAT", SECRET),
    ("KEEPER_WORD_APPROVAL", SECRET),
    ("KEEPER_MIGRATION_LOCK_TIMEOUT", "0"),
    ("KEEPER_ENHANCEMENT_RETENTION", "0"),
    ("KEEPER_AUDIT_RETENTION", "0"),
    ("KEEPER_REQUEST_RETENTION", "0"),
    ("KEEPER_WORD_RETENTION", "0"),
    ("KEEPER_EMBEDDING_STORE_SIZE", "0"),
    ("KEEPER_ADMIN_ADDRESS", SECRET),
    ("KEEPER_REFLECTION", SECRET),
    ("KEEPER_TLS_CERTIFICATE", ""),
    ("KEEPER_TLS_KEY", ""),
    ("KEEPER_TLS_CLIENT_CA", ""),
    ("KEEPER_IDENTITIES_FILE", ""),
    ("KEEPER_JWT_KEYS", " "),
    ("KEEPER_JWT_ISSUER", ""),
    ("KEEPER_JWT_AUDIENCE", ""),
    ("KEEPER_JWT_ALGORITHMS", ""),
    ("KEEPER_JWT_LEEWAY", "-1"),
    ("KEEPER_JWT_REFRESH", "0"),
    ("KEEPER_JWT_ROLES_CLAIM", ""),
    ("KEEPER_JWT_ACCOUNTS_CLAIM", ""),
    ("KEEPER_JWT_OWNERS_CLAIM", ""),
    ("KEEPER_IDENTITY_RATE", "0"),
    ("KEEPER_IDENTITY_BURST", "-1"),
    ("KEEPER_IDENTITY_CONCURRENCY", "0"),
]


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine that runs the tests leaks in."""
    for name in ("DATABASE_URL", "DATA_DIR", "PSEUDONYM_KEYS", "OPENAI_API_KEY", "PORT"):
        monkeypatch.delenv(f"KEEPER_{name}", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_bad_value_is_one_line_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """The line starts with the variable and never repeats its value, which may be a secret."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsInvalid) as caught:
        Settings.from_environment()
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{name}: ")
    assert SECRET not in line


def test_every_bad_setting_has_its_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two mistakes are reported together, so that they are fixed together."""
    monkeypatch.setenv("KEEPER_PORT", "x")
    monkeypatch.setenv("KEEPER_POOL_SIZE", "x")
    with pytest.raises(SettingsInvalid) as caught:
        Settings.from_environment()
    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["KEEPER_PORT", "KEEPER_POOL_SIZE"]


def test_every_bounded_setting_is_in_the_table_of_bad_values() -> None:
    """A new bounded setting without a test of its bound fails here."""
    bounded = {
        f"KEEPER_{name.upper()}"
        for name, field in Settings.model_fields.items()
        # An optional setting has its bounds within the annotation.
        if field.metadata
        or "Literal" in str(field.annotation)
        or name
        in {
            "emerging_min_similarity",
            "metrics_port",
            "local_model_dir",
            "openai_api_version",
            "openai_deployment",
            "tls_certificate",
            "tls_key",
            "tls_client_ca",
            "identities_file",
            "jwt_keys",
            "jwt_issuer",
            "jwt_audience",
            "identity_rate",
            "identity_burst",
            "identity_concurrency",
        }
    }
    assert bounded == {name for name, _ in BAD}


@pytest.mark.parametrize("space", ["\n", " ", "\r\n", "\t"])
def test_a_key_loses_the_white_space_around_it(monkeypatch: pytest.MonkeyPatch, space: str) -> None:
    """A key out of a file ends with a line break, which no header takes; one of nothing else is none."""
    monkeypatch.setenv("OPENAI_API_KEY", f"{space}{SECRET}{space}")
    key = Settings.from_environment().openai_api_key
    assert key is not None
    assert key.get_secret_value() == SECRET
    monkeypatch.setenv("OPENAI_API_KEY", space)
    assert Settings.from_environment().openai_api_key is None


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"OPENAI_BASE_URL": "https://one.openai.azure.com"}, "KEEPER_OPENAI_API_VERSION"),
        ({"OPENAI_BASE_URL": "https://one.openai.azure.com/openai"}, "KEEPER_OPENAI_API_VERSION"),
        ({"OPENAI_DEPLOYMENT": "ours"}, "KEEPER_OPENAI_DEPLOYMENT"),
        ({"OPENAI_BASE_URL": "https://one.openai.azure.com/openai/v1"}, None),
        (
            {
                "OPENAI_BASE_URL": "https://one.openai.azure.com",
                "OPENAI_API_VERSION": "2024-10-21",
                "OPENAI_DEPLOYMENT": "ours",
            },
            None,
        ),
    ],
)
def test_half_of_azures_settings_is_one_line(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], named: str | None
) -> None:
    """Azure's classic API needs a version; its v1 path is OpenAI's own and needs nothing."""
    for name, value in variables.items():
        monkeypatch.setenv(f"KEEPER_{name}", value)
    if named is None:
        Settings.from_environment()
        return
    with pytest.raises(SettingsInvalid, match=f"^{named}: ") as caught:
        Settings.from_environment()
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("variable", "setting"), [("KEEPER_PORT", "port"), ("KEEPER_METRICS_PORT", "metrics_port")]
)
def test_a_kubernetes_service_of_our_name_leaves_the_port_as_it_is(
    monkeypatch: pytest.MonkeyPatch, variable: str, setting: str
) -> None:
    """Kubernetes sets KEEPER_PORT in every container beside a Service called `keeper`."""
    monkeypatch.setenv(variable, "tcp://10.96.0.12:50051")
    settings = Settings.from_environment()
    assert getattr(settings, setting) == Settings.model_fields[setting].default
    assert Settings.unknown() == []


def test_an_address_in_the_place_of_a_port_is_still_a_mistake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only what Kubernetes writes is passed over."""
    monkeypatch.setenv("KEEPER_PORT", "tcp://keeper:50051")
    with pytest.raises(SettingsInvalid, match=r"^KEEPER_PORT: "):
        Settings.from_environment()


def test_a_misspelt_setting_is_named_beside_a_bad_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The misspelt one may be why the other is missing; its value stays out of the line."""
    monkeypatch.setenv("KEEPER_EMBEDDER", "openai")
    monkeypatch.setenv("KEEPER_OPENAI_KEY", SECRET)
    with pytest.raises(SettingsInvalid) as caught:
        Settings.from_environment()
    assert str(caught.value).splitlines() == [
        "KEEPER_OPENAI_API_KEY: required when KEEPER_EMBEDDER is openai",
        "KEEPER_OPENAI_KEY: there is no such setting; did you mean KEEPER_OPENAI_API_KEY?",
    ]


def test_every_value_loses_the_white_space_around_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of a file, a secret or a form it often ends with some; in a password of a URL a space is %20."""
    monkeypatch.setenv("KEEPER_DATABASE_URL", " postgresql://u:p%20@h/d\n")
    monkeypatch.setenv("KEEPER_EMBEDDER", "local ")
    monkeypatch.setenv("KEEPER_PORT", " 50052\r\n")
    monkeypatch.setenv("KEEPER_DATA_DIR", "/var/lib/other \t")
    monkeypatch.setenv("KEEPER_HOST", " :: ")
    settings = Settings.from_environment()
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == "postgresql://u:p%20@h/d"
    assert (settings.embedder, settings.data_dir) == ("local", Path("/var/lib/other"))
    assert settings.address == "[::]:50052"


@pytest.mark.parametrize("host", ["::", "[::]"])
async def test_every_address_of_ipv6_is_every_address(host: str) -> None:
    """A server on :: is reached by IPv4 as well; `keeper health` asks it on the loopback."""
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    settings = Settings(host=host, port=0)
    server = grpc.aio.server()
    port = server.add_insecure_port(settings.address)
    await server.start()
    try:
        for own in ("127.0.0.1", "[::1]"):
            async with grpc.aio.insecure_channel(f"{own}:{port}") as channel:
                await channel.channel_ready()
    finally:
        await server.stop(None)
    assert own_address(settings) == "[::1]:0"


def test_plain_numbers_are_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """`KEEPER_DRAIN_GRACE=2.5` is two and a half seconds; ISO 8601 works too."""
    monkeypatch.setenv("KEEPER_DRAIN_GRACE", "2.5")
    monkeypatch.setenv("KEEPER_EMERGING_WINDOW", "P2D")
    settings = Settings.from_environment()
    assert settings.drain_grace == timedelta(seconds=2.5)
    assert settings.emerging_window == timedelta(days=2)


def test_both_names_of_the_openai_key_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prefixed name goes before the common one, and neither value shows in a repr."""
    monkeypatch.setenv("OPENAI_API_KEY", "common")
    key = Settings.from_environment().openai_api_key
    assert key is not None
    assert key.get_secret_value() == "common"
    monkeypatch.setenv("KEEPER_OPENAI_API_KEY", SECRET)
    settings = Settings.from_environment()
    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == SECRET
    assert SECRET not in repr(settings)


def test_an_empty_openai_key_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As shells and compose files leave it out; it does not ask for the remote model."""
    monkeypatch.setenv("OPENAI_API_KEY", "")
    assert Settings.from_environment().openai_api_key is None


def test_secrets_stay_out_of_the_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    """A DSN with a password and the pseudonym keys are hidden wherever settings are printed."""
    monkeypatch.setenv("KEEPER_DATABASE_URL", f"postgresql://u:{SECRET}@h/d")
    monkeypatch.setenv("KEEPER_PSEUDONYM_KEYS", f"main:{KEY}")
    printed = repr(Settings.from_environment())
    assert SECRET not in printed
    assert KEY not in printed


@pytest.mark.parametrize(
    ("root", "xdg", "expected"),
    [
        (True, None, Path("/var/lib/keeper")),
        (False, "/data/xdg", Path("/data/xdg/keeper")),
        (False, None, Path("/home/someone/.local/share/keeper")),
    ],
)
def test_the_data_directory_follows_the_platform(
    monkeypatch: pytest.MonkeyPatch, root: bool, xdg: str | None, expected: Path
) -> None:
    """Root keeps state where services do, users where the XDG directories say."""
    monkeypatch.setattr("os.geteuid", lambda: 0 if root else 1000)
    monkeypatch.setenv("HOME", "/home/someone")
    if xdg is None:
        monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    else:
        monkeypatch.setenv("XDG_DATA_HOME", xdg)
    assert Settings.from_environment().data_dir == expected


def test_pseudonym_keys_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one is the current one, so the order is meaning."""
    monkeypatch.setenv("KEEPER_PSEUDONYM_KEYS", f"new:{KEY}, old:{KEY}")
    keys = Settings.from_environment().pseudonym_key_map()
    assert keys is not None
    assert list(keys) == ["new", "old"]
    assert keys["new"] == bytes(range(32))


def test_unset_pseudonym_keys_are_none() -> None:
    """Then the data directory's key is used."""
    assert Settings.from_environment().pseudonym_key_map() is None


@pytest.mark.parametrize(
    "value",
    [f"main:{SECRET}!", SECRET, f"main:{KEY},other", f"main:{KEY[:20]}", f":{KEY}", "", "main:é"],
)
async def test_unusable_pseudonym_keys_stop_the_start_with_one_line(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """Whatever is wrong with them, the line names the variable and not what they were."""
    monkeypatch.setenv("KEEPER_PSEUDONYM_KEYS", value)
    with pytest.raises(SettingsInvalid) as caught:
        async with application(Settings.from_environment()):
            pass
    (line,) = str(caught.value).splitlines()
    assert line.startswith("KEEPER_PSEUDONYM_KEYS: ")
    assert SECRET not in line
    assert KEY not in line


async def test_an_external_database_demands_pseudonym_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes with a generated key each would count every account twice."""
    monkeypatch.setenv("KEEPER_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(SettingsInvalid, match=r"^KEEPER_PSEUDONYM_KEYS: required"):
        async with application(Settings.from_environment()):
            pass


def test_a_supervisors_credentials_are_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One file a setting, with or without a line break; a variable has precedence, and a misspelt file is named."""
    (tmp_path / "keeper_pseudonym_keys").write_text(f"main:{KEY}\n")
    (tmp_path / "keeper_port").write_text("50099")
    (tmp_path / "keeper_databse_url").write_text(SECRET)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("KEEPER_PORT", "50052")

    settings = Settings.from_environment()

    assert settings.pseudonym_key_map() == {"main": bytes(range(32))}
    assert settings.port == 50052
    assert [(u.name, u.similar) for u in Settings.unknown()] == [
        ("keeper_databse_url", "KEEPER_DATABASE_URL")
    ]


def test_no_credentials_are_no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A directory that is not there, which other supervisors may name."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "none"))
    assert Settings.from_environment().database_url is None
