"""Calls that travel together: the texts of many rows in one request for embeddings.

To the payer a `Member` is limiter and gateway of one call; ledger, purse, spool, doubts and retries
know of single texts only. Its group waits for one permit, and takes in who comes meanwhile.
"""

from worker.joint.groups import Apart, Place
from worker.joint.joint import Joint, Member, is_single

__all__ = ["Apart", "Joint", "Member", "Place", "is_single"]
