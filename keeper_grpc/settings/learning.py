"""How evidence is weighed, how much is tried to get more of it, and when something emerges."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, Field

from keeper_grpc.settings.values import Accounts, HalfLife, Ratio, Seconds


class LearningSettings(BaseModel):
    """Evidence, exploration and emergence."""

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
    prior_interval: Seconds = Field(
        timedelta(minutes=1),
        description="time between turns of learning patterns' priors and scripts' lifts from each other",
    )
    proven_lower_bound: Ratio = Field(
        0.60, description="lower bound of the success rate from which a pattern counts as proven"
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
