"""Who may call, how much, for how long, and what becomes of calls when the process ends."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, Field

from keeper_grpc.settings.values import AnySeconds, Calls, Count, File, Seconds, Word


class CallerSettings(BaseModel):
    """Identities, tokens, limits and deadlines."""

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
