"""Ranks that stop together, without a model: three threads for the ranks, each as
fast as it likes, and an abort at any moment."""

import random
import sys
import threading

sys.path.insert(0, sys.argv[1])
import ranks  # noqa: E402


class Line:
    aborted = False

    def wants_stop(self):
        return self.aborted


SIZE, STEPS = 3, 60
line, words = Line(), memoryview(bytearray(8 * SIZE)).cast("q")
everyone = [ranks.Ranks(words, rank, SIZE, line) for rank in range(SIZE)]
begun = [0] * SIZE


def call(own, ends, pauses):
    """A call of a few steps, after which rank 0 sees that all had begun it."""
    begun[own.rank] += 1
    own.meet()
    if own.rank == 0:
        assert len(set(begun)) == 1, begun
    steps = 0
    while steps < STEPS and not own.wants_stop():
        steps += 1
        if pauses.random() < 0.1:
            ranks.time.sleep(pauses.random() * 0.0005)
        if own.rank == 0 and steps == line.at:
            line.aborted = True
    ends[own.rank] = steps


seen = set()
for number in range(200):
    pauses = [random.Random(SIZE * number + rank) for rank in range(SIZE)]
    line.aborted, line.at, ends = False, pauses[0].randrange(2 * STEPS), [None] * SIZE
    threads = [threading.Thread(target=call, args=(own, ends, pauses[own.rank]), daemon=True) for own in everyone]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)  # of one that waits for ever
    assert None not in ends and len(set(ends)) == 1, (number, ends)
    seen.add(ends[0])
assert len(seen) > 20, seen
