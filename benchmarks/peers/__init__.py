"""Other people's libraries that measure the same, for side-by-side times and scores.

None is a dependency: what is not installed is left out, and :meth:`~photopeak.benchmarks.peers.base.Peer.check` says why.
README.md beside this file tells how to make an environment that has them all.
"""

from .base import Peer, limit_threads
from .images import IMAGE_PEERS
from .measures import MEASURE_PEERS
from .projectors import PROJECTOR_PEERS

__all__ = ["PEERS", "Peer", "limit_threads", "peers_of"]

PEERS: tuple[Peer, ...] = (*IMAGE_PEERS, *MEASURE_PEERS, *PROJECTOR_PEERS)


def peers_of(metric: str) -> list[Peer]:
    """Return the installed peers that measure `metric`.

    Examples
    --------
    >>> peers_of("nothing")
    []
    """
    return [peer for peer in PEERS if peer.metric == metric and not peer.check()]
