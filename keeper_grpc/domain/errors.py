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
     +- Unauthenticated           who calls is not known
     |   +- CredentialsMissing
     |   +- TokenInvalid
     |   |   +- TokenExpired
     |   +- CertificateUnknown    a trusted certificate that names no identity
     +- PermissionDenied          who calls may not do this
     |   +- RoleMissing
     |   +- AccountNotAllowed     the identity may not speak for this account, or there is none
     +- Unavailable               try again: `retry_after` seconds say when
         +- EmbedderUnavailable
         +- StorageUnavailable
         |   +- PatternsMoved      to another embedding model, or into each other, since the call began
         |   +- StatementTimedOut  a statement took longer than its timeout
         +- TooBusy            more work comes than can be done, or more writes wait than may
         +- KeysUnavailable    the keys of the identity provider have not been read yet
         +- LimitExceeded      the identity's own limit
         |   +- RateExceeded
         |   +- ConcurrencyExceeded
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


class Unauthenticated(KeeperError):
    """Nobody knows who calls. Base of what may be wrong with a caller's credentials."""


class CredentialsMissing(Unauthenticated):
    """The call has neither a token nor a client certificate."""

    def __init__(self) -> None:
        super().__init__("send a token as `authorization: Bearer <token>`, or a client certificate")


class TokenInvalid(Unauthenticated):
    """Not a token of this service. Which of its checks failed is in the server's log, not in the answer."""

    def __init__(self, message: str = "the token is not valid here") -> None:
        super().__init__(message)


class TokenExpired(TokenInvalid):
    """The token was valid once; get another one."""

    def __init__(self) -> None:
        super().__init__("the token has expired")


class CertificateUnknown(Unauthenticated):
    """The certificate is trusted, but names no identity, or several."""

    def __init__(self) -> None:
        super().__init__("the client certificate names no identity of this service")


class PermissionDenied(KeeperError):
    """The identity may not do this, whatever the objects of the call are."""


class RoleMissing(PermissionDenied):
    """The identity lacks the role that the call needs."""

    def __init__(self, needed: str) -> None:
        super().__init__(f"this call needs {needed}")


class AccountNotAllowed(PermissionDenied):
    """The identity may not speak for the account or owner, whether or not it exists."""

    def __init__(self) -> None:
        super().__init__("this identity may not speak for the account or owner of the request")


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
    """More comes than can be done, or as many writes wait as may; nothing of this one was done."""

    def __init__(
        self, message: str = "too many writes wait; try again later", retry_after: float = 1.0
    ) -> None:
        super().__init__(message, retry_after=retry_after)


class KeysUnavailable(Unavailable):
    """The token may be valid, but the keys that sign such tokens cannot be had now."""

    def __init__(self) -> None:
        super().__init__("the keys of the identity provider cannot be read now", retry_after=2.0)


class LimitExceeded(Unavailable):
    """The identity has used what it may; others are served."""


class RateExceeded(LimitExceeded):
    """More calls a second than the identity may make. `retry_after` is when the next one passes."""

    def __init__(self, retry_after: float) -> None:
        super().__init__("more calls a second than this identity may make", retry_after=retry_after)


class ConcurrencyExceeded(LimitExceeded):
    """More calls at a time than the identity may make."""

    def __init__(self) -> None:
        super().__init__("more calls at a time than this identity may make", retry_after=0.5)


class ShuttingDown(Unavailable):
    """The process drains; another process serves."""


class StreamMaxAge(Unavailable):
    """The stream reached its maximum age, so that resuming spreads streams over the processes."""

    def __init__(self) -> None:
        super().__init__("the stream has reached its maximum age; resume now", retry_after=0.0)
