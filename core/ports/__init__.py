"""What the use cases need from the world: see `running`, `tenancy` and `keeping`; all of it is imported from here."""

from pinnace.core.model.sessions import Entry, TranscriptKey
from pinnace.core.ports.keeping import AccessLog, AnswerStore, Blobs, Sessions, Transcripts, Workspaces
from pinnace.core.ports.running import AgentRunner, Clock, Run, RunContext, SessionLink, TokenCounter, Toll
from pinnace.core.ports.tenancy import Alerts, CacheLife, Directory, Ledger, Limiter, Prices, UsageStore

__all__ = [
    "AccessLog",
    "AgentRunner",
    "Alerts",
    "AnswerStore",
    "Blobs",
    "CacheLife",
    "Clock",
    "Directory",
    "Entry",
    "Ledger",
    "Limiter",
    "Prices",
    "Run",
    "RunContext",
    "SessionLink",
    "Sessions",
    "TokenCounter",
    "Toll",
    "TranscriptKey",
    "Transcripts",
    "UsageStore",
    "Workspaces",
]
