"""For LiteLLM's proxy, beside its config: keeps the calls that end while a batch of its log callback is on its way.

LiteLLM (1.106) empties the generic callback's queue when a batch was sent, with whatever was put there meanwhile: such calls are in no log.
Here each batch takes its queue along, and what comes meanwhile finds a new one. Name `preserve.events` among the callbacks.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable

from litellm.integrations.custom_logger import CustomLogger
from litellm.integrations.generic_api.generic_api_callback import GenericAPILogger

Sending = Callable[[GenericAPILogger], Awaitable[None]]


def apart(send: Sending) -> Sending:
    """The same, for a logger that has what is queued now, and leaves a new queue behind."""

    async def run(logger: GenericAPILogger) -> None:
        batch = copy.copy(logger)
        logger.log_queue = []
        await send(batch)

    return run


GenericAPILogger.flush_queue = apart(GenericAPILogger.flush_queue)
GenericAPILogger.async_send_batch = apart(GenericAPILogger.async_send_batch)

events = CustomLogger()
"""A callback that does nothing: naming it loads this file."""
