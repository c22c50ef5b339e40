"""Which keys the recomputed rows of a variant keep under a cut, as groups of rows that keep the same ones."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Piece:
    """A group of rows that keep the same own keys. All are positions in the sequence, but for `take`.

    rows: the group. queries: the rows to compute. For a causal piece they include the kept positions between the rows, because
    a causal kernel needs its queries to be the last keys. take: where `rows` are among `queries`. keys: the kept own keys.
    causal: whether the causal rule applies to them.
    """

    rows: np.ndarray
    queries: np.ndarray
    take: np.ndarray
    keys: np.ndarray
    causal: bool

    def only(self, read) -> "Piece | None":
        """The same for those of its rows that are in `read`, or None without any. Queries before them are left out."""
        rows = self.rows[np.isin(self.rows, read)]
        if not len(rows):
            return None
        queries = self.queries[self.queries >= rows[0]] if self.causal else rows
        return Piece(rows, queries, np.searchsorted(queries, rows), self.keys, self.causal)


class Cut:
    """How the rows from `first` on attend if `edges` are cut. edges None cuts nothing.

    Keys of rows from `base` on are own keys, which each variant has for itself; earlier keys are shared. own: a list of
    `Piece`, or None if no own key is cut. alone: rows that keep their own key, although it is among the cut keys. shared:
    [(rows, the shared keys that they keep, these keys as bytes)]. Together they cover all rows; the list is empty if `base` is 0.

    parts: where the parts of a `Pack` end: first what its prompts share, then each prompt's own rest. A row sees the shared part
    and its own. By default there is one part. sharing: whether there may be shared keys. Raises ValueError if `first` lies behind
    the shared part.
    """

    def __init__(self, edges, first: int, length: int, parts: tuple = (), sharing: bool = True):
        # If at most half of the rows are clean, copying their keys to each variant is cheaper than a separate attention to them.
        self.base = first if sharing and 2 * first > length else 0
        self.first, self.length, self.parts = first, length, parts or (length,)
        if first > self.parts[0]:
            raise ValueError(f"row {first} lies behind the shared part, which ends at {self.parts[0]}")
        self.own, self.alone, self.shared = [], np.empty(0, np.int64), []
        rest = np.ones(length, bool)
        rest[:first] = False
        every = np.ones(length, bool)
        touched = len(self.parts) > 1
        for rows, keys in edges.classes if edges else []:
            rows, keys = rows.numpy(), keys.numpy()
            rest[rows] = False
            kept = every.copy()
            kept[keys] = False
            inside = np.isin(rows, keys)
            touched |= bool((keys[keys <= rows[-1]] >= self.base).any())
            self._keeping(rows[~inside], kept)
            self._losing(rows[inside], kept)
            if not edges.own:
                self.alone = np.concatenate([self.alone, rows[inside]])
            self._sharing(rows, kept)
        self._keeping(rest.nonzero()[0], every)
        self._sharing(rest.nonzero()[0], every)
        self.own = self.own if touched else None

    def _sharing(self, rows, kept):
        if len(rows) and self.base:
            keys = kept[: self.base].nonzero()[0]
            self.shared.append((rows, keys, keys.tobytes()))

    def _by_part(self, rows, kept):
        """The rows of each part, and the kept own keys that the last of them sees."""
        begin, keys = 0, kept.nonzero()[0]
        keys = keys[keys >= self.base]
        for stop in self.parts:
            here = rows[(rows >= begin) & (rows < stop)]
            if len(here):
                yield here, keys[((keys < self.parts[0]) | (keys >= begin)) & (keys <= here[-1])]
            begin = stop

    def _keeping(self, rows, kept):
        """Add rows that keep their own key: causal attention to the kept keys."""
        for here, keys in self._by_part(rows, kept):
            self._add(here, keys[keys >= here[0]], keys, True)

    def _losing(self, rows, kept):
        """Add rows whose own position is among the cut keys. Rows that see equally many kept keys form one piece."""
        for here, keys in self._by_part(rows, kept):
            seen = np.searchsorted(keys, here)
            for number in np.unique(seen):
                if number:
                    alike = here[seen == number]
                    self._add(alike, alike, keys[:number], False)

    def _add(self, rows, queries, keys, causal):
        self.own.append(Piece(rows, queries, np.searchsorted(queries, rows), keys, causal))


@dataclass(frozen=True)
class Block:
    """Variants that stand together in a stack, all from the same first row: each one's `Cut`.

    zeros: whether value_zero cuts it. heads: which heads are cut (heads,), empty if all are. patches: the `Edges` whose keys are
    another run's, or None. By default none of these for any of them.
    """

    cuts: list[Cut]
    zeros: list = ()
    heads: list = ()
    patches: list = ()

    def rows(self, start: int, chosen: list[int]) -> np.ndarray:
        """The rows of some of the variants in a stack in which the block begins at `start`."""
        size = self.cuts[0].length - self.cuts[0].first
        return (start + size * np.array(chosen)[:, None] + np.arange(size)).ravel()

    def may_skip(self, read) -> bool:
        """Whether nothing but `own` and `shared` of the cuts says how the rows `read` attend, so that others may be left out."""
        return not (
            any(self.zeros) or any(self.heads) or any(self.patches) or any(np.isin(read, c.alone).any() for c in self.cuts)
        )

    def uncut(self, count: int) -> "Block":
        """As many variants with the same first row in which nothing is cut."""
        one = self.cuts[0]
        return Block([Cut(None, one.first, one.length, one.parts)] * count)
