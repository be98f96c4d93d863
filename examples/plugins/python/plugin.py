"""A backend of llem in plain Python: grpcio, protobuf and this file, no Go.

Its "engine" is a toy that batches as real ones do: each step takes step_us and
gives every request in one of its slots one more token, which is arithmetic on
the token before. docs/writing-a-plugin.md walks through the rest.

Reading order: the engine, a Run, the services, the process.
"""

import collections
import contextlib
import ctypes
import functools
import hashlib
import os
import queue
import random
import shutil
import signal
import struct
import sys
import threading
import time
import traceback
from concurrent import futures

import grpc
from google.protobuf import any_pb2, empty_pb2

from llem.plugin.v1 import backend_pb2 as be
from llem.plugin.v1 import backend_pb2_grpc, plugin_pb2_grpc
from llem.plugin.v1 import cell_pb2 as ce
from llem.plugin.v1 import error_pb2 as er
from llem.plugin.v1 import plugin_pb2 as pl
from llem.plugin.v1 import value_pb2 as va

NAME, VERSION, VOCABULARY, MAX_CANCEL_MS = "python-toy", "0.1.0", 1000, 1000
FEATURES = ["counters", "pass_gaps"]
LOOPS = [ce.LOOP_BATCH, ce.LOOP_CLOSED, ce.LOOP_OPEN]
now = time.monotonic_ns  # CLOCK_MONOTONIC, the contract's one clock

# ---------------------------------------------------------------- the engine


class Sequence:
    """A request in the engine."""

    def __init__(self, index, item, due=0):
        self.index, self.item, self.sent = index, item, now()
        self.intended = due or self.sent
        self.ids, self.stamps = [], []


class Engine:
    """Counts what it does, as real ones do in their metrics."""

    def __init__(self, step_us, slots):
        self.step_ns, self.slots = step_us * 1000, slots
        self.steps = self.busy_ns = self.prompt_tokens = self.output_tokens = 0

    def step(self, sequences):
        """Gives the first sequences one token each; returns those that have all."""
        active = sequences[: self.slots]
        begin = now()
        until = begin + self.step_ns
        while (left := until - now()) > 0:
            # Sleeping to the very end would be late by what a wake-up takes.
            time.sleep(max(0, left - 200_000) / 1e9)
        stamp = now()
        for s in active:
            if not s.ids:
                self.prompt_tokens += len(s.item.token_ids)
            last = s.ids[-1] if s.ids else s.item.token_ids[-1]
            s.ids.append((31 * last + 17) % VOCABULARY)
            s.stamps.append(stamp)
        self.steps += 1
        self.busy_ns += stamp - begin
        self.output_tokens += len(active)
        return [s for s in active if len(s.ids) == s.item.max_tokens]


# ---------------------------------------------------------------- a Run


class Run:
    """One Run: hands out requests until it is over, and keeps records."""

    MOST_IN_MESSAGE = 256  # completions; with MOST_CHUNKS far below 1 MiB
    MOST_CHUNKS = 50_000

    def __init__(self, engine, spec, items):
        self.engine, self.spec, self.items = engine, spec, items
        self.events = queue.SimpleQueue()  # to the host, at its leisure
        self.stop = be.STOP_KIND_UNSPECIFIED
        self.stopping, self.ended = threading.Event(), threading.Event()
        self.next, self.begin = spec.first, now()
        self.steps_before, self.busy_before = engine.steps, engine.busy_ns
        self.sent = self.done = self.passes = self.output_tokens = 0
        self.reason = be.FINISH_REASON_STOPPED
        self.before = self.after = None
        self.packed, self.packed_chunks = [], 0

    def request_stop(self, kind):
        if self.stop != be.STOP_KIND_ABORT:  # a milder one takes nothing back
            self.stop = kind
        self.stopping.set()

    @property
    def aborted(self):
        return self.stop == be.STOP_KIND_ABORT

    def over(self):
        """Tells whether nothing more may be sent, and keeps the reason."""
        spec = self.spec
        if self.aborted:
            self.reason = be.FINISH_REASON_ABORTED
        elif self.stop != be.STOP_KIND_UNSPECIFIED:
            self.reason = be.FINISH_REASON_STOPPED
        elif 0 < spec.max_passes <= self.passes or 0 < spec.max_requests <= self.sent or 0 < spec.max_duration_ns <= now() - self.begin:
            self.reason = be.FINISH_REASON_LIMIT
        else:
            return False
        return True

    def drive(self):
        """The whole Run, in the engine's thread."""
        if self.spec.loop == ce.LOOP_BATCH:
            self.batches()
        elif self.spec.loop == ce.LOOP_OPEN:
            self.arrivals()
        else:
            self.serve(self.one_by_one(), self.spec.concurrency)
        if self.aborted:
            self.reason = be.FINISH_REASON_ABORTED
        self.flush()

    def one_by_one(self):
        """Closed loop: requests as they are asked for."""
        while not self.over():
            if self.next == len(self.items):
                self.reason = be.FINISH_REASON_WORK_USED_UP
                return
            self.next, self.sent = self.next + 1, self.sent + 1
            yield Sequence(self.next - 1, self.items[self.next - 1])

    def arrivals(self):
        """Open loop: each request when it is due, or after the step that runs then."""
        flying = []
        while not self.aborted:
            while not self.over() and self.next < len(self.items):
                due = self.begin + self.items[self.next].arrival_offset_ns
                if due > now():
                    break
                flying.append(Sequence(self.next, self.items[self.next], due))
                self.next, self.sent = self.next + 1, self.sent + 1
            if flying:
                for s in self.engine.step(flying):
                    flying.remove(s)
                    self.complete(s, "length")
            elif self.over():
                return
            elif self.next == len(self.items):
                self.reason = be.FINISH_REASON_WORK_USED_UP
                return
            else:
                self.stopping.wait((due - now()) / 1e9)
        for s in flying:
            self.complete(s, "aborted")

    def batches(self):
        """Whole passes, with idle time between them if the host asks for it."""
        size, gaps = self.spec.requests_per_pass, random.Random(self.spec.gap_seed)
        while not self.over():
            if self.next + size > len(self.items):
                self.reason = be.FINISH_REASON_WORK_USED_UP
                return
            first, self.next, self.sent = self.next, self.next + size, self.sent + size
            record = be.Pass(index=self.passes, first_request=first, begin_ns=now())
            self.passes += 1
            done = self.serve((Sequence(i, self.items[i]) for i in range(first, first + size)), size)
            # Nothing is in flight: the engine is quiescent, as Check promises.
            record.end_ns = now()
            record.requests = size
            record.prompt_tokens = sum(len(s.item.token_ids) for s in done)
            record.output_tokens = sum(len(s.ids) for s in done)
            self.flush()  # the completions come before their pass
            self.events.put(be.RunResponse(**{"pass": record}))
            if self.spec.gap_ns_most and not self.over():
                self.stopping.wait(gaps.uniform(0, self.spec.gap_ns_most) / 1e9)

    def serve(self, requests, most):
        """Keeps up to `most` requests in flight, and returns all that ended."""
        flying, ended = [], []
        while not self.aborted:
            while len(flying) < most and (s := next(requests, None)):
                flying.append(s)
            if not flying:
                return ended
            for s in self.engine.step(flying):
                flying.remove(s)
                ended.append(s)
                self.complete(s, "length")
        # Broken off: what was begun, and the rest of a pass, is told as well.
        rest = flying + (list(requests) if self.spec.loop == ce.LOOP_BATCH else [])
        for s in rest:
            self.complete(s, "aborted")
        return ended + rest

    def complete(self, s, reason):
        c = be.Completion(
            request=s.index, intended_ns=s.intended, sent_ns=s.sent, finish_reason=reason,
            prompt_tokens=len(s.item.token_ids), output_tokens=len(s.ids),
        )  # fmt: skip
        if s.ids:
            c.first_ns, c.last_ns = s.stamps[0], s.stamps[-1]
            digest = hashlib.sha256(struct.pack(f"<{len(s.ids)}I", *s.ids)).digest()
            c.output_hash = int.from_bytes(digest[:8], "little")
        if self.spec.record != be.RECORD_REQUEST:  # a chunk is a token here
            c.chunk_delta_ns.extend(b - a for a, b in zip([s.sent] + s.stamps, s.stamps))
            c.chunk_tokens.extend([1] * len(s.stamps))
        self.done += 1
        self.output_tokens += len(s.ids)
        self.packed.append(c)
        self.packed_chunks += len(c.chunk_tokens)
        if len(self.packed) >= self.MOST_IN_MESSAGE or self.packed_chunks >= self.MOST_CHUNKS:
            self.flush()

    def flush(self):
        if self.packed:
            self.events.put(be.RunResponse(completions=be.Completions(items=self.packed)))
        self.packed, self.packed_chunks = [], 0

    def heartbeat(self):
        done, tokens = self.done, self.output_tokens
        return be.RunResponse(heartbeat=be.Heartbeat(
            mono_ns=now(), sent=self.sent, done=done, in_flight=max(0, self.sent - done), output_tokens=tokens,
        ))  # fmt: skip

    def warnings(self):
        """What a reader of the result has to know of this Run."""
        steps, busy = self.engine.steps - self.steps_before, self.engine.busy_ns - self.busy_before
        if busy > 1.1 * steps * self.engine.step_ns:
            yield be.Warning(code="steps_late", key_path="step_us", message=f"a step took {busy / steps / 1000:.0f} µs on average")

    def finished(self):
        return be.RunResponse(finished=be.Finished(
            mono_ns=now(), reason=self.reason, applied=self.spec, before=self.before, after=self.after,
            completions=self.done, passes=self.passes, output_tokens=self.output_tokens, warnings=self.warnings(),
        ))  # fmt: skip


# ---------------------------------------------------------------- errors


class Refused(Exception):
    """An error with the contract's code."""

    def __init__(self, code, message, **more):
        super().__init__(message)
        self.detail = er.Error(code=code, message=message[:4000], **more)


def bytes_field(number, data):
    """A field of a protobuf message, on the wire."""
    out, size = bytes([number << 3 | 2]), len(data)
    while size > 127:
        out, size = out + bytes([size & 127 | 128]), size >> 7
    return out + bytes([size]) + data


@contextlib.contextmanager
def answering(context):
    """Ends a call that fails with a status that carries the contract's Error.

    The trailer is a google.rpc.Status: a code (13, internal), a message and the
    detail. Its generated class would be one more package to install.
    """
    try:
        yield
    except Refused as e:
        detail = e.detail
    except Exception as e:
        stack = traceback.format_exc()[-3000:]
        detail = er.Error(code=er.ERROR_CODE_PANIC, message=repr(e)[:4000], stack=stack)
    else:
        return
    packed = any_pb2.Any()
    packed.Pack(detail)
    status = bytes([1 << 3, 13]) + bytes_field(2, detail.message.encode()) + bytes_field(3, packed.SerializeToString())
    context.set_trailing_metadata((("grpc-status-details-bin", status),))
    context.abort(grpc.StatusCode.INTERNAL, detail.message)


def understand(request):
    """Refuses what this plugin does not know: leaving it out would measure
    something else than was asked for."""
    size = request.ByteSize()
    request.DiscardUnknownFields()  # at any depth
    if request.ByteSize() != size:
        raise Refused(er.ERROR_CODE_INVALID_REQUEST, "the request has fields that this plugin does not know")
    for feature in request.required_features:
        if feature not in FEATURES:
            raise Refused(er.ERROR_CODE_UNSUPPORTED_FEATURE, f"this plugin has no feature {feature!r}")
    return request


def unary(method):
    @functools.wraps(method)
    def call(self, request, context):
        with answering(context):
            return method(self, understand(request), context)

    return call


def stream(method):
    @functools.wraps(method)
    def call(self, request, context):
        with answering(context):
            yield from method(self, understand(request), context)

    return call


# ---------------------------------------------------------------- the services


def whole(number):
    return va.Value(int_value=number)


PARAMETERS = [
    pl.Parameter(
        key="step_us", type=pl.PARAMETER_TYPE_INT, unit="µs", default=whole(1000), min=whole(1), max=whole(500_000),
        role=pl.PARAMETER_ROLE_MEASUREMENT, sweepable=True, doc="Time of one step of the engine.",
    ),
    pl.Parameter(
        key="slots", type=pl.PARAMETER_TYPE_INT, unit="sequences", default=whole(8), min=whole(1), max=whole(1024),
        role=pl.PARAMETER_ROLE_MEASUREMENT, sweepable=True, doc="Most sequences in one step; others wait.",
    ),
]  # fmt: skip


def judge(table):
    """What does not fit the schema: pairs of key and message."""
    known = {p.key: p for p in PARAMETERS}
    for key, value in table.entries.items():
        p = known.get(key)
        if p is None:
            yield key, f"unknown key; known keys: {', '.join(sorted(known))}"
        elif value.WhichOneof("kind") != "int_value":
            yield key, "expected an int"
        elif not p.min.int_value <= value.int_value <= p.max.int_value:
            yield key, f"expected {p.min.int_value} to {p.max.int_value}"


class Plugin(plugin_pb2_grpc.PluginServiceServicer):
    def Describe(self, request, context):  # not guarded: here two versions meet
        # The host has read the handshake. Nobody reads standard output from now
        # on, and whoever filled its pipe would hang.
        os.dup2(2, 1)
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot = file.read().strip()
        return pl.DescribeResponse(
            name=NAME, kinds=[pl.KIND_BACKEND], version=VERSION, protocol_minor=2, features=FEATURES,
            backend_parameters=PARAMETERS, boot_id=boot, mono_now_ns=now(), doc="A toy engine in plain Python.",
        )  # fmt: skip

    @unary
    def Check(self, request, context):
        answer = pl.CheckResponse()
        for cell in request.cells:
            verdict = answer.cells.add(
                cell_id=cell.id, loops=LOOPS, edge=pl.EDGE_KIND_QUIESCED, max_cancel_ms=MAX_CANCEL_MS,
                devices=[pl.DeviceNeed(kind="cpu", min=1, max=1)],
            )  # fmt: skip
            for key, message in judge(cell.parameters):
                verdict.diagnostics.add(severity=pl.SEVERITY_ERROR, key_path=key, message=message)
            if cell.load.loop not in LOOPS:
                verdict.diagnostics.add(severity=pl.SEVERITY_ERROR, key_path="load.mode", message=f"unknown loop {cell.load.loop}")
        return answer


class Backend(backend_pb2_grpc.BackendServiceServicer):
    """One load: fresh -> loading -> loaded -> unloaded, or failed."""

    def __init__(self):
        self.lock = threading.Lock()
        self.phase, self.engine, self.run, self.works = "fresh", None, None, {}

    def expect_idle(self, call):  # the lock is held
        if self.phase != "loaded":
            raise Refused(er.ERROR_CODE_CALL_ORDER, f"{call}: the engine is {self.phase}", phase=call)
        if self.run:
            raise Refused(er.ERROR_CODE_CALL_ORDER, f"{call}: a Run is in progress", phase=call)

    @stream
    def Load(self, request, context):
        for key, message in judge(request.cell.parameters):
            raise Refused(er.ERROR_CODE_UNSUPPORTED_PARAMETER, message, key_path=key, phase="load")
        with self.lock:
            if self.phase != "fresh":
                raise Refused(er.ERROR_CODE_CALL_ORDER, "each load has a process of its own", phase="load")
            self.phase = "loading"
        events = queue.SimpleQueue()

        def load():
            try:
                events.put(stage(be.STAGE_MOMENT_BEGIN))
                report = self.load(request)
                events.put(stage(be.STAGE_MOMENT_END))
            except Exception:
                self.phase = "failed"  # only Unload is left
                raise
            with self.lock:
                if self.phase != "loading":
                    raise Refused(er.ERROR_CODE_CANCELLED, "Unload came during the load", phase="load")
                self.phase = "loaded"
            events.put(be.LoadResponse(report=report))

        def beat():
            return be.LoadResponse(heartbeat=be.LoadHeartbeat(mono_ns=now()))

        yield from relay(load, events, request.heartbeat_ms, beat)

    def load(self, request):
        """Here a real one would read weights. It reports what it really uses."""
        given = request.cell.parameters.entries
        resolved = {p.key: given[p.key] if p.key in given else p.default for p in PARAMETERS}
        step_us = resolved["step_us"].int_value
        self.engine = Engine(step_us, resolved["slots"].int_value)
        report = be.LoadReport(
            engine="python-toy", engine_version=VERSION, resolved=va.TableValue(entries=resolved),
            packages=[be.Package(name="python", version=sys.version.split()[0]), be.Package(name="grpcio", version=grpc.__version__)],
            model=be.ModelIdentity(base=NAME, vocab=VOCABULARY, random_weights=True),
            devices=[be.DeviceUse(id="cpu", kind="cpu", pid=os.getpid())], edge=pl.EDGE_KIND_QUIESCED, max_cancel_ms=MAX_CANCEL_MS,
        )  # fmt: skip
        if step_us < 200:
            report.warnings.add(code="coarse_steps", key_path="step_us", message=f"Python does not keep steps of {step_us} µs exactly")
        return report

    def Prepare(self, requests, context):
        with answering(context):
            with self.lock:
                self.expect_idle("prepare")
            items, digest = [], hashlib.sha256()
            for n, request in enumerate(requests):
                if understand(request).HasField("header") != (n == 0):
                    raise Refused(er.ERROR_CODE_INVALID_REQUEST, "the first message, and no other, has a header", phase="prepare")
                for item in request.items:
                    ids = item.token_ids
                    digest.update(struct.pack(f"<{2 + len(ids)}I", len(ids), item.max_tokens, *ids))
                    items.append(item)
            if not items:
                raise Refused(er.ERROR_CODE_INVALID_REQUEST, "no request was sent", phase="prepare")
            with self.lock:
                self.expect_idle("prepare")
                work_id = f"work-{len(self.works) + 1}"
                self.works[work_id] = items
            return be.PrepareResponse(work_id=work_id, count=len(items), token_hash=digest.digest())

    @stream
    def Run(self, request, context):
        invalid = functools.partial(Refused, er.ERROR_CODE_INVALID_REQUEST, phase="run")
        with self.lock:
            self.expect_idle("run")
            items = self.works.get(request.work_id)
            if items is None or request.first >= len(items):
                raise invalid(f"there is no request {request.first} in the work {request.work_id!r}")
            if request.loop not in LOOPS or request.record not in be.Record.values():
                raise invalid(f"unknown loop {request.loop} or record {request.record}")
            if request.loop == ce.LOOP_BATCH and not request.requests_per_pass:
                raise invalid("a batch loop needs requests_per_pass")
            if request.loop == ce.LOOP_CLOSED and not request.concurrency:
                raise invalid("a closed loop needs concurrency")
            run = self.run = Run(self.engine, request, items)
        # A call that is cancelled, or whose host is gone, is to be abandoned.
        context.add_callback(lambda: run.request_stop(be.STOP_KIND_ABORT))

        def drive():
            try:
                run.before = self.counters()
                run.drive()
                run.after = self.counters()
            finally:
                # Before the host hears of the end: it may call again at once.
                self.run = None
                run.ended.set()

        yield be.RunResponse(started=be.Started(mono_ns=run.begin))
        yield from relay(drive, run.events, request.heartbeat_ms, run.heartbeat)
        yield run.finished()

    @unary
    def Stop(self, request, context):
        with self.lock:
            run = self.run
        if request.kind not in be.StopKind.values():
            raise Refused(er.ERROR_CODE_INVALID_REQUEST, f"unknown kind of stop {request.kind}", phase="stop")
        if run:
            run.request_stop(request.kind)
        return be.StopResponse(was_running=run is not None)

    @unary
    def Counters(self, request, context):
        if self.phase != "loaded":
            raise Refused(er.ERROR_CODE_CALL_ORDER, f"the engine is {self.phase}", phase="counters")
        return be.CountersResponse(counters=self.counters())

    def counters(self):
        e = self.engine
        return be.Counters(mono_ns=now(), engine_steps=e.steps, prompt_tokens=e.prompt_tokens, output_tokens=e.output_tokens)

    @unary
    def Unload(self, request, context):
        self.free((request.deadline_ms or 10_000) / 1000)
        return be.UnloadResponse()

    def free(self, limit_s):
        """Ends what goes on and frees the engine; a second call does nothing."""
        if run := self.run:
            run.request_stop(be.STOP_KIND_ABORT)
            if not run.ended.wait(limit_s):
                raise Refused(er.ERROR_CODE_TIMEOUT, "the Run in progress did not end", phase="unload")
        with self.lock:
            self.phase, self.engine, self.works = "unloaded", None, {}


def stage(moment):
    return be.LoadResponse(stage=be.Stage(kind=be.STAGE_KIND_WEIGHTS, moment=moment, mono_ns=now(), message="making them up"))


def relay(work, events, heartbeat_ms, beat):
    """Runs work in a thread and yields what it records, and heartbeats that do
    not wait for it."""
    over = object()
    failure = collections.deque(maxlen=1)

    def run():
        try:
            work()
        except BaseException as e:
            failure.append(e)
        events.put(over)

    threading.Thread(target=run, daemon=True).start()
    period = (heartbeat_ms or 1000) * 1_000_000
    due = now() + period
    while True:
        if (wait := due - now()) <= 0:
            due = now() + period
            yield beat()
            continue
        try:
            event = events.get(timeout=wait / 1e9)
        except queue.Empty:
            continue
        if event is over:
            break
        yield event
    if failure:
        raise failure[0]


# ---------------------------------------------------------------- the process


def descendants():
    """All processes below this one."""
    children = collections.defaultdict(list)
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/stat") as file:
                children[int(file.read().rpartition(")")[2].split()[1])].append(int(pid))
    found = list(children[os.getpid()])
    for pid in found:  # grows as it goes
        found += children[pid]
    return found


def sweep():
    """Kills what an engine may have left behind. The toy leaves nothing."""
    for pid in descendants():
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def watch_lifeline(backend, socket_dir):
    """Ends this process and its engine when the host is dead, in silence."""
    fd = int(os.environ.pop("LLEM_LIFELINE_FD", "-1"))
    if fd < 0:
        return
    os.set_inheritable(fd, False)

    def watch():
        while os.read(fd, 1):  # nothing is ever written
            pass
        freeing = threading.Thread(target=backend.free, args=(2,), daemon=True)
        freeing.start()
        freeing.join(2)
        if os.path.basename(socket_dir).startswith("plugin-dir"):
            shutil.rmtree(socket_dir, ignore_errors=True)  # nobody else will
        sweep()
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def main():
    if os.environ.get("LLEM_PLUGIN") != "a7f0c1d2-llem-backend-or-energy-source":
        sys.exit("This is an llem plugin and is started by llem; install it with `llem plugins install DIRECTORY`.")
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, lambda *_: None)  # caught, since what is ignored stays so in children
    PR_SET_CHILD_SUBREAPER = 36
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    socket_dir = os.environ["PLUGIN_UNIX_SOCKET_DIR"]
    backend, leaving = Backend(), threading.Event()
    watch_lifeline(backend, socket_dir)

    def shutdown(request, context):
        leaving.set()
        return empty_pb2.Empty()

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    plugin_pb2_grpc.add_PluginServiceServicer_to_server(Plugin(), server)
    backend_pb2_grpc.add_BackendServiceServicer_to_server(backend, server)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("plugin.GRPCController", {
        "Shutdown": grpc.unary_unary_rpc_method_handler(
            shutdown, request_deserializer=empty_pb2.Empty.FromString, response_serializer=empty_pb2.Empty.SerializeToString,
        ),
    })])  # fmt: skip
    path = os.path.join(socket_dir, f"{NAME}-{os.getpid()}.sock")
    server.add_insecure_port("unix:" + path)
    server.start()
    print(f"1|1|unix|{path}|grpc", flush=True)

    leaving.wait()
    backend.free(1)  # Unload may not have been called
    server.stop(0.5).wait()
    sweep()


main()
