"""The queue of many machines: SQS; `queue` reaches one queue, `work_queue` knows what waits in it."""
