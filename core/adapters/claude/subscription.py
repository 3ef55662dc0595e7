"""Knows a run of the `messages` profile with an OAuth token, which is good for requests that say they are Claude Code's.

The CLI says so in its own first two system blocks, and they stay: the caller's system prompt goes behind them by the spare's
claim, which binds the process to it, so that it serves this one call. The rest of the body goes as with any other credential.
"""

from __future__ import annotations

from pinnace.core.adapters.claude.history import system_text
from pinnace.core.adapters.claude.messages import MessagesRun
from pinnace.core.adapters.claude.run import ENDING


class SubscriptionRun(MessagesRun):
    """One call of the `messages` profile with an OAuth token."""

    its_own = MessagesRun.its_own | {"system"}

    async def claim(self) -> None:
        system = system_text(self.request.body.get("system"))
        prompt = [system] if system else []
        asked = {"cwd": str(self.process.launch.work), "system_prompt": prompt}
        reply = await self.process.ask("claim_session", seconds=min(self.remaining(), ENDING), **asked)
        if reply.error is None:
            self.pool.count("claimed")
        else:
            await self.rebind(reply.error, {"systemPrompt": prompt})

    def betas(self) -> tuple[str | None, str]:
        return None, ",".join(self.request.betas)

    async def recycle(self) -> bool:
        """Its system prompt cannot be taken back."""
        return False
