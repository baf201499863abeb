"""The errors that a caller of the API may get.

    KeeperError
     +- InvalidInput              a value that the request's declared rules cannot catch
     |   +- ResumeTokenInvalid    not a token of this service, or of another stream
     +- NotFound
     |   +- PatternNotFound
     |   +- ScriptNotFound
     |   +- EnhancementNotFound
     |   +- CaptureNotFound
     |   +- AccountNotFound
     +- RequestIdReused           the same request_id with another body
     +- OutcomeAlreadyReported    the outcome is final
     +- NothingAdvised            the enhancement has no advice to react to
     +- AlreadyDone               the advice was done before it was dismissed
     +- AccountCategoryUnknown    no business_category in the request and none registered
     +- AccountCategoryConflict   the account is registered in another category
     +- AccountOwnerConflict      the account is registered with another owner
     +- AccountBeingForgotten     ForgetAccount is at work on this account
     +- AccountForgotten          the account was forgotten a while ago
     +- SubscriberTooSlow         a stream's reader does not read, or fell behind its buffer
     +- Unavailable               try again: `retry_after` seconds say when
         +- EmbedderUnavailable
         +- StorageUnavailable
         |   +- PatternsMoved      to another embedding model, or into each other, since the call began
         |   +- StatementTimedOut  a statement took longer than its timeout
         +- TooBusy            more writes wait than may
         +- ShuttingDown
         +- StreamMaxAge          a stream reached its maximum age

Messages are for the caller: they name fields and rules, never a text, an account or an internal.
Only `rpc/status.py` turns these into google.rpc statuses.
"""

from __future__ import annotations


class KeeperError(Exception):
    """Base of every error that a caller may see."""


class InvalidInput(KeeperError):
    """A field has an invalid value. `field` is its path in the request."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class ResumeTokenInvalid(InvalidInput):
    """The resume token was not made by this service for this stream."""

    def __init__(self) -> None:
        super().__init__("resume_token", "not a token of this stream; subscribe without one")


class NotFound(KeeperError):
    """The named object does not exist, or may not be shown."""


class PatternNotFound(NotFound):
    """No pattern has this id, or, for everyone but operators, no published one."""

    def __init__(self, *, for_operator: bool = False) -> None:
        super().__init__(
            "no pattern has this id" if for_operator else "no published pattern has this id"
        )


class ScriptNotFound(NotFound):
    """The pattern has no such script. Only operators may learn that."""

    def __init__(self) -> None:
        super().__init__("the pattern has no such script")


class EnhancementNotFound(NotFound):
    """The account was given no enhancement with this id; another account's is not found either."""

    def __init__(self) -> None:
        super().__init__("this account was given no enhancement with this id")


class CaptureNotFound(NotFound):
    """The account captured nothing with this request_id."""

    def __init__(self) -> None:
        super().__init__("this account has captured nothing with this request_id")


class AccountNotFound(NotFound):
    """The network does not know this account. Only operators may learn that."""

    def __init__(self) -> None:
        super().__init__("the account is not known")


class RequestIdReused(KeeperError):
    """This account used the same request_id for another body before."""

    def __init__(self) -> None:
        super().__init__("request_id was used before with another request; use a new one")


class OutcomeAlreadyReported(KeeperError):
    """The final outcome was reported before, with another request_id."""

    def __init__(self) -> None:
        super().__init__("the final outcome was reported before")


class NothingAdvised(KeeperError):
    """The enhancement has no advice, and its account was told so."""

    def __init__(self) -> None:
        super().__init__("this enhancement has no advice that could be reacted to")


class AlreadyDone(KeeperError):
    """The advice was reported as done, and is now to be dismissed."""

    def __init__(self) -> None:
        super().__init__("this advice was done before; it can no longer be dismissed")


class AccountCategoryUnknown(KeeperError):
    """The request names no business_category and the account is not registered."""

    def __init__(self) -> None:
        super().__init__("name business_category in the insight, or call RegisterAccount first")


class AccountCategoryConflict(KeeperError):
    """The account is registered in another business category than the request says."""

    def __init__(self) -> None:
        super().__init__("the account is registered in another business_category")


class AccountBeingForgotten(KeeperError):
    """The account is being forgotten; nothing may be stored of it meanwhile."""

    def __init__(self) -> None:
        super().__init__("the account is being forgotten")


class AccountOwnerConflict(KeeperError):
    """The account is registered, with another owner or as its own."""

    def __init__(self) -> None:
        super().__init__(
            "the account is registered with another owner_id; UpdateAccount changes it"
        )


class AccountForgotten(KeeperError):
    """The account was forgotten, and its tombstone stands: a late call must not bring it back."""

    def __init__(self) -> None:
        super().__init__("the account was forgotten; an operator may register it again")


class SubscriberTooSlow(KeeperError):
    """The subscriber did not read. `how_to_return` says how it goes on: not every feed has a resume token."""

    def __init__(self, how_to_return: str) -> None:
        super().__init__(f"the reader fell behind the stream; {how_to_return}")


class Unavailable(KeeperError):
    """A part of the service cannot answer now. `retry_after` is in seconds."""

    def __init__(self, message: str, *, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class EmbedderUnavailable(Unavailable):
    """The embedding backend did not answer, or returned an invalid answer."""


class StorageUnavailable(Unavailable):
    """The database cannot be reached or refuses work."""


class PatternsMoved(StorageUnavailable):
    """Patterns were moved to another embedding model, or into each other, since the call began: again."""

    def __init__(self) -> None:
        super().__init__("the patterns were moved meanwhile; try again", retry_after=0.5)


class StatementTimedOut(StorageUnavailable):
    """A statement took longer than its timeout and was cancelled; another attempt may take as long."""


class TooBusy(Unavailable):
    """As many writes wait as may; nothing of this one is stored."""

    def __init__(self) -> None:
        super().__init__("too many writes wait; try again later", retry_after=1.0)


class ShuttingDown(Unavailable):
    """The process drains; another process serves."""


class StreamMaxAge(Unavailable):
    """The stream reached its maximum age, so that resuming spreads streams over the processes."""

    def __init__(self) -> None:
        super().__init__("the stream has reached its maximum age; resume now", retry_after=0.0)
