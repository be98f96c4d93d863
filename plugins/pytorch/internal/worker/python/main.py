"""The worker: it waits for calls of the plugin, one at a time.

Reading order: wire.py (messages), loading.py, placing.py (which device has what),
generating.py (the hot path), continuous.py (the other one), ranks.py (several workers
for one model), reporting.py (what is really in use), problems.py
(how failures are told), compat.py (versions), names.py and probe.py (what can be
known without an import).
"""

import os
import sys
import zlib

# Whatever a library prints must not come between the plugin and this worker,
# however it prints: descriptor 1 is the error stream from here on.
os.dup2(2, 1)

import problems  # noqa: E402
import wire  # noqa: E402

SOCKET = 3


def serve(line):
    engine = None
    while True:
        call, data = line.next_call()
        try:
            if call["call"] == "load":
                import loading

                engine = loading.load(line, call)
                line.send({"event": "done", **engine.report()})
            elif call["call"] == "pass":
                header, out = engine.run_pass(line, call, data)
                if engine.ranks is not None:
                    header["outputs"] = zlib.crc32(out)
                line.send({"event": "done", **header}, out)
            elif call["call"] == "serve":
                import continuous

                line.send({"event": "done", **continuous.serve(engine, line, call)})
            elif call["call"] == "counters":
                line.send({"event": "done", **engine.counters()})
            elif call["call"] == "tokenize":
                line.send({"event": "done", "ids": engine.tokenize(call["texts"])})
            else:
                raise problems.Problem("invalid_request", f"the worker has no call {call['call']!r}")
        except BaseException as failure:
            if isinstance(failure, KeyboardInterrupt):
                raise
            line.send({"event": "error", **problems.describe(failure, call, engine)})
        finally:
            sys.stdout.flush()


serve(wire.Line(SOCKET))
