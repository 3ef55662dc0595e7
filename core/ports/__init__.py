"""What the use cases need from the world: see the modules beside this one; all of it is imported from here."""

from pinnace.core.model.sessions import Entry, TranscriptKey
from pinnace.core.ports.batching import Batches, WorkQueue
from pinnace.core.ports.filing import DirectUploads, Files
from pinnace.core.ports.keeping import AccessLog, AnswerStore, BlobEntry, Blobs, Sessions, Transcripts, Workspaces
from pinnace.core.ports.running import AgentRunner, Clock, Run, RunContext, SessionLink, TokenCounter, Toll
from pinnace.core.ports.tenancy import Alerts, CacheLife, Directory, Ledger, Limiter, Prices, UsageStore

__all__ = [
    "AccessLog",
    "AgentRunner",
    "Alerts",
    "AnswerStore",
    "Batches",
    "BlobEntry",
    "Blobs",
    "CacheLife",
    "Clock",
    "DirectUploads",
    "Directory",
    "Entry",
    "Files",
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
    "WorkQueue",
    "Workspaces",
]
