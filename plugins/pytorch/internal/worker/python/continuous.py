"""Continuous batching: requests join and leave the batch at every step.

The manager of transformers computes in a thread of its own and stamps each
token when it is on the host. Requests come from the plugin's messages, in the
thread that reads them, and their outcomes go back as they are finished.
"""

import array
import threading
import time

import compat
from problems import Problem

# How often the manager's queue is left to look for an abort or a death.
LOOK_S = 0.02


class Server:
    """The manager for one model and one way of sampling. It lives as long as
    the load, so that what it made in its first steps is there for the next Run."""

    def __init__(self, engine, call):
        self.engine, self.sampling = engine, call["sampling"]
        engine.torch.manual_seed(self.sampling["seed"])
        config = engine.config(1, self.sampling, True)
        self.manager, self.settings = compat.batching_manager(engine.model, config, self.options(call["most"]))
        self.manager.warmup()
        self.steps = 0
        self.manager.start()

    def options(self, most):
        p = self.engine.p
        options = dict(self.engine.continuous_extra)
        options["allow_block_sharing"] = p.get("prefix_caching", False)
        # An attention that was asked for is not exchanged for another.
        options["auto_switch_to_flash"] = "attn_implementation" not in p
        options["seed"] = self.sampling["seed"]
        for key, name in (("batch_size", "max_requests_per_batch"), ("max_batch_tokens", "max_batch_tokens")):
            if key in p:
                options[name] = p[key]
        tokens = p.get("kv_cache_tokens")
        if self.engine.device.type == "cpu":
            # transformers would take nearly all memory of the machine.
            options.setdefault("max_batch_tokens", most["cpu_batch_tokens"])
            tokens = tokens or most["cpu_cache_tokens"]
        options["cache_tokens"] = tokens
        return options

    def stop(self):
        self.manager.stop(block=True, timeout=5, hard_stop=True)


class Session:
    """One Run's requests."""

    def __init__(self, engine, line, call):
        self.engine, self.line = engine, line
        self.manager = engine.server.manager
        self.every_step, self.exact = call["every_step"], call["exact"]
        self.sent = {}  # stamps by request, of those in flight
        self.lock = threading.Lock()
        self.closing = self.broken = False
        self.prefix = f"{line.number}-"

    # --- the reading thread

    def receive(self, call, data):
        if call["call"] == "add":
            self.add(call["arguments"], data)
        elif call["call"] == "edge":
            self.engine.synchronize()
            self.line.send({"event": "edge", "mono_ns": time.monotonic_ns()})
        elif call["call"] == "finish":
            self.closing = True

    def add(self, request, data):
        prompt = array.array("i", data).tolist()
        index = request["request"]
        eos = -1 if self.exact or self.engine.eos is None else self.engine.eos
        with self.lock:
            now = time.monotonic_ns()
            self.sent[index] = now
            if not self.broken:
                self.manager.add_request(
                    prompt, request_id=f"{self.prefix}{index}", max_new_tokens=request["max_tokens"],
                    record_timestamps=True, eos_token_id=eos,
                )  # fmt: skip
                return
        self.tell(index, [], [], "aborted")

    # --- the serving thread

    def run(self):
        while not (self.closing and not self.sent):
            if self.line.aborted and not self.broken:
                self.abort()
            result = self.manager.get_result(timeout=LOOK_S)
            if result is not None:
                self.take(result)
            elif not self.manager.is_running():
                raise compat.batching_failure(self.manager) or Problem("engine_crashed", "the continuous batching of transformers ended", advice="the trial's log has its last words")
            if self.broken and not self.sent:
                break
        self.engine.synchronize()
        return {"mono_ns": time.monotonic_ns()}

    def take(self, result):
        name = str(result.request_id)
        if not result.is_finished() or not name.startswith(self.prefix):
            return
        index = int(name[len(self.prefix) :])
        stamps = [int(s * 1e9) for s in result.timestamps or []]
        ids = result.generated_tokens
        if result.error is not None:
            self.tell(index, ids, stamps, "error", str(result.error)[:600])
            return
        c = self.engine.counts
        c["prompt_tokens"] += len(result.prompt_ids)
        c["output_tokens"] += len(ids)
        ended = not self.exact and self.engine.ends(ids)
        self.tell(index, ids, stamps, "stop" if ended else "length")

    def tell(self, index, ids, stamps, reason, error=""):
        with self.lock:
            sent = self.sent.pop(index, None)
        if sent is None:
            return  # it was broken off before
        stamps = stamps[: len(ids)]
        row = {"event": "completed", "request": index, "sent_ns": sent, "reason": reason, "error": error, "tokens": len(ids)}
        if stamps:
            row["first_ns"], row["last_ns"] = stamps[0], stamps[-1]
        if self.every_step:
            row["stamps"] = stamps
        self.line.send(row, array.array("i", ids).tobytes())

    def abort(self):
        """Takes everything out of the engine and waits until it is quiet. What
        has come of each request until then is told."""
        with self.lock:
            self.broken = True
            open_requests = list(self.sent)
        partial = {i: compat.partial_output(self.manager, f"{self.prefix}{i}") for i in open_requests}
        for index in open_requests:
            self.manager.cancel_request(f"{self.prefix}{index}")
        while compat.batching_busy(self.manager) and self.manager.is_running():
            time.sleep(0.001)
        for index in open_requests:
            ids, stamps = partial[index]
            self.tell(index, ids, [int(s * 1e9) for s in stamps], "aborted")


def serve(engine, line, call):
    if engine.server.sampling != call["sampling"]:
        engine.server.stop()
        engine.server = Server(engine, {**call, "most": engine.server_call["most"]})
    session = Session(engine, line, call)
    line.listen(session.receive)
    line.send({"event": "ready"})
    try:
        return session.run()
    finally:
        line.listen(None)
