"""Gate: a command counts where it is spoken alone, with quiet before and after it; a word of a sentence does not."""

import numpy as np

#: Levels so old are forgotten.
MEMORY_MS = 3000


class SpokenAlone:
    """Detector of short sounds between quiet, from the level of each hop.

    A hop is loud where it is less than `range_db` below the loudest of the last second, and more than `margin_db` above
    the quietest of the last three. Where nothing stands out of the noise the gate is open.

    Args:
        hop_ms: time between two calls of `update`.
        max_ms: longest sound that counts as one word: clips of words have one second.
        before_ms: least quiet before it; pauses between the words of a sentence are mostly shorter.
        after_ms: least quiet after it, by which a report comes later; within a word a closed /p/ or /t/ takes 100 ms.
            The windows that end in this quiet hold the word and little else, so that they tell most.
        range_db: distance below the loudest hop at which a hop is quiet, as the echo of a word in a room is, and noise
            under a word at 20 dB.
        margin_db: distance above the quietest hop up to which a hop is noise; noise that is not quite steady moves by
            6 dB.
    """

    def __init__(
        self,
        hop_ms: float,
        max_ms: float = 1000,
        before_ms: float = 300,
        after_ms: float = 300,
        range_db: float = 15.0,
        margin_db: float = 9.0,
    ):
        self.max_hops, self.before_hops, self.after_hops, self.num_levels = (
            max(1, round(duration / hop_ms)) for duration in (max_ms, before_ms, after_ms, MEMORY_MS)
        )
        self.range_db = range_db
        self.margin_db = margin_db
        self.reset()

    def reset(self) -> None:
        """Begin a new stream."""
        self._levels = np.full(self.num_levels, -np.inf)
        self._num_hops = 0

    def update(self, level_dbfs: float) -> bool | None:
        """Process the level of the next hop.

        Args:
            level_dbfs: in dBFS.

        Returns:
            Whether the last sound was spoken alone; None while that is not known, because it lasts.
        """
        self._levels = np.append(self._levels[1:], level_dbfs)
        self._num_hops = min(self._num_hops + 1, self.num_levels)
        peak = self._levels[-self.max_hops - self.after_hops :].max()
        floor = self._levels[-self._num_hops :].min()
        loud = np.flatnonzero(self._levels > max(peak - self.range_db, floor + self.margin_db))
        if not len(loud):
            return True
        num_quiet_before = np.diff(loud, prepend=-1) - 1
        starts = loud[num_quiet_before >= self.before_hops]
        if not len(starts) or loud[-1] - starts[-1] >= self.max_hops:
            return False
        return True if loud[-1] < len(self._levels) - self.after_hops else None
