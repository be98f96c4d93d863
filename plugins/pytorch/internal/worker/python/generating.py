"""The hot path: static batches through model.generate, stamped at the edges.

A pass is stamped after a device synchronisation on both sides. In between, the
device is watched by one stopping criterion, which transformers calls once a
step; on a GPU it records an event, which the device stamps by itself, so nothing
waits for anything.
"""

import contextlib
import resource
import time

import compat
import loading
import placing


class Watch:
    """A stopping criterion that never stops, except where stop wants to. Its cost
    is one call of a Python function and one addition on the device a step.

    Speculation asks its criteria at other moments, too: there a hook of the
    model tells of the steps, and they are not those of tokens."""

    def __init__(self, torch, device, stop, every_step, speculates=False):
        self.speculates = speculates
        self.torch, self.stop, self.every_step = torch, stop, every_step
        self.stopped = False
        self.cuda = device.type == "cuda"
        self.device = device
        self.steps = 0
        self.marks = []  # events on a GPU, nanoseconds on a CPU
        self.answers = {}  # tensors by the number of rows
        self.begin_ns = 0
        self.begin = None

    def __deepcopy__(self, memo):
        return self

    def start(self):
        if self.cuda:
            self.begin = self._event()
            self.begin.synchronize()
        self.begin_ns = time.monotonic_ns()

    def _event(self):
        event = self.torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def step(self, *_):
        self.steps += 1
        if self.every_step or not self.marks:
            self.marks.append(self._event() if self.cuda else time.monotonic_ns())

    def __call__(self, input_ids, scores, **kwargs):
        if not self.speculates:
            self.step()
        rows = input_ids.shape[0]
        if self.stop is not None and self.stop.wants_stop():
            self.stopped = True
            return self.torch.ones(rows, dtype=self.torch.bool, device=input_ids.device)
        answer = self.answers.get(rows)
        if answer is None:
            answer = self.answers[rows] = self.torch.zeros(rows, dtype=self.torch.bool, device=input_ids.device)
        return answer

    def stamps(self, end_ns):
        """The marks in nanoseconds, after a synchronisation."""
        if not self.cuda:
            return self.marks
        stamps = [self.begin_ns + int(self.begin.elapsed_time(mark) * 1e6) for mark in self.marks]
        return [min(max(s, self.begin_ns), end_ns) for s in stamps]


class Engine:
    def __init__(self, torch, transformers, model, assistant, device, parameters, warnings, ranks=None):
        self.torch, self.transformers = torch, transformers
        self.model, self.assistant, self.device = model, assistant, device
        self.p, self.warnings, self.ranks = parameters, warnings, ranks
        self.batch_size = parameters.get("batch_size", 1)
        self.padding_side = parameters.get("padding_side", "left")
        self.length_sorted = parameters.get("batching") == "length_sorted"
        self.input_device = placing.input_device(torch, model)
        if self.input_device.type == "cuda":
            torch.cuda.set_device(self.input_device)  # events are recorded on it
        self.gpus = placing.gpus(model)
        own = model.generation_config
        self.eos = own.eos_token_id if own.eos_token_id is not None else model.config.get_text_config().eos_token_id
        # What the model's authors suggest for sampling is not what the study
        # asked for: only the workload decides.
        model.generation_config = transformers.GenerationConfig(bos_token_id=own.bos_token_id)
        self.speculates = assistant is not None or "prompt_lookup_num_tokens" in parameters
        self.extra = loading.extra(parameters, "generate")
        self.continuous_extra = loading.extra(parameters, "continuous")
        self.server = None  # of continuous batching
        self.options = self.cache_options()
        self.cache_classes, self.cache_offloaded = [], False
        self.counts = {"engine_steps": 0, "prompt_tokens": 0, "output_tokens": 0, "padding_tokens": 0, "scheduled_tokens": 0, "spec_accepted": 0}
        self.fitted = 0  # the largest batch that went through
        self.kv_bytes_per_token = None
        self.kv_bytes = 0  # of the greatest batch so far
        self.compiled = False
        # generate forgoes gradients anyway; this forgoes their book-keeping, too.
        self.without_gradients = torch.inference_mode if parameters.get("inference_mode") else contextlib.nullcontext
        self.inference_mode = False  # read back

    # --- settings of generate

    def cache_options(self):
        p, options = self.p, {"use_cache": self.p.get("use_cache", True)}
        cache = p.get("cache_implementation")
        if cache is not None:
            options["cache_implementation"] = cache
        if cache == "quantized" and "cache_config" not in self.extra:
            backend = "quanto" if loading.has("optimum-quanto") else "hqq"
            options["cache_config"] = {"backend": backend, "nbits": 4}
        if "prompt_lookup_num_tokens" in p:
            options["prompt_lookup_num_tokens"] = p["prompt_lookup_num_tokens"]
        compile_wanted = p.get("compile")
        if compile_wanted is False:
            options["disable_compile"] = True
        elif compile_wanted and cache == "static":
            options["compile_config"] = compat.static_compile(p.get("compile_fullgraph", False), p.get("compile_dynamic"), p.get("compile_mode"))
        return options

    def compile_forward(self):
        """Compiles the whole forward pass, where generate does not compile the
        decode step by itself. The first pass of the warm-up pays for it."""
        p = self.p
        if p.get("compile") and p.get("cache_implementation") != "static":
            self.model.forward = self.torch.compile(
                self.model.forward, mode=p.get("compile_mode"), fullgraph=p.get("compile_fullgraph", False), dynamic=p.get("compile_dynamic"),
            )  # fmt: skip
            self.compiled = compat.compiles(self.torch)

    def config(self, max_tokens, sampling, exact):
        options = dict(self.options, **self.extra)
        options["max_new_tokens"] = max_tokens
        options["num_beams"] = self.p.get("num_beams", 1)
        if not exact and self.eos is not None:
            options["eos_token_id"] = self.eos
            options["pad_token_id"] = self.eos[0] if isinstance(self.eos, list) else self.eos
        elif self.speculates:
            options.update(compat.no_end_of_speculation(self.transformers))
        if sampling["temperature"] > 0:
            options.update(do_sample=True, temperature=float(sampling["temperature"]), top_k=sampling["top_k"], top_p=float(sampling["top_p"] or 1))
        else:
            options["do_sample"] = False
        return self.transformers.GenerationConfig(**options)

    # --- a pass

    def synchronize(self):
        for index in self.gpus:
            self.torch.cuda.synchronize(index)

    def edge(self):
        """Waits until the devices of all ranks are quiet, in the rank that stamps
        it. The others go on as soon as it takes its first decision."""
        self.synchronize()
        if self.ranks is not None:
            self.ranks.meet()

    def run_pass(self, line, call, data):
        torch = self.torch
        self.current = call, data  # for the advice after an out-of-memory
        ids, lengths, most = torch.frombuffer(data, dtype=torch.int32), call["prompt_lengths"], call["max_tokens"]
        starts, at = [], 0
        for length in lengths:
            starts.append(at)
            at += length
        order = list(range(len(lengths)))
        if self.length_sorted:
            order.sort(key=lambda i: lengths[i])
        uneven = any(n != most[0] for n in most)
        every_step = call["every_step"] or uneven or not call["exact"]
        outputs, rows, batches, padding = [b""] * len(lengths), [None] * len(lengths), [], 0
        stop, aborted = self.ranks or line, False
        self.edge()
        begin_ns = time.monotonic_ns()
        for at in range(0, len(order), self.batch_size):
            aborted = aborted or stop.wants_stop()
            if aborted:
                break
            members = order[at : at + self.batch_size]
            prompts = [ids[starts[i] : starts[i] + lengths[i]] for i in members]
            watch = Watch(torch, self.device, stop, every_step, self.speculates)
            new, end_ns = self.generate(watch, prompts, [most[i] for i in members], call["sampling"], call["exact"], call["first"] + at)
            aborted = watch.stopped
            stamps = watch.stamps(end_ns)
            computed = new.shape[1]
            kept = 0
            for row, i in enumerate(members):
                count, reason = self.length_of(new[row], most[i], call["exact"], aborted)
                outputs[i] = new[row, :count].to(torch.int32).contiguous().numpy().tobytes()
                rows[i] = [len(batches), count, reason]
                kept += count
            widest = max(lengths[i] for i in members)
            prompt_tokens = sum(lengths[i] for i in members)
            padding += widest * len(members) - prompt_tokens + computed * len(members) - kept
            self.count(prompt_tokens, kept, widest * len(members), computed, watch.steps, len(members))
            batches.append({
                "begin_ns": watch.begin_ns, "first_ns": stamps[0] if stamps else end_ns, "end_ns": end_ns, "stamps": stamps if every_step and not self.speculates else [],
                "steps": watch.steps, "prompt_positions": widest * len(members), "rows": len(members),
            })  # fmt: skip
            if not aborted:
                self.fitted = max(self.fitted, len(members))
            if self.kv_bytes_per_token is not None:
                self.kv_bytes = max(self.kv_bytes, int(self.kv_bytes_per_token * self.p.get("num_beams", 1) * len(members) * (widest + computed)))
        self.edge()
        end_ns = time.monotonic_ns()
        self.counts["padding_tokens"] += padding
        header = {"begin_ns": begin_ns, "end_ns": end_ns, "rows": rows, "batches": batches, "padding_tokens": padding, "aborted": aborted}
        return header, b"".join(outputs)

    def generate(self, watch, prompts, most, sampling, exact, seed_step):
        """One batch; returns the new ids on the host and the stamp after them."""
        torch = self.torch
        width = max(len(p) for p in prompts)
        batch = torch.zeros((len(prompts), width), dtype=torch.int64)
        mask = torch.zeros((len(prompts), width), dtype=torch.int64)
        for row, prompt in enumerate(prompts):
            place = slice(width - len(prompt), width) if self.padding_side == "left" else slice(0, len(prompt))
            batch[row, place] = prompt
            mask[row, place] = 1
        if sampling["temperature"] > 0:
            torch.manual_seed((sampling["seed"] * 1_000_003 + seed_step) % 2**63)  # of any seed of a study
        config = self.config(max(most), sampling, exact)
        watch.start()
        options = {"assistant_model": self.assistant} if self.assistant is not None else {}
        hook = self.model.register_forward_hook(watch.step) if self.speculates else None
        try:
            with self.without_gradients():
                out = self.model.generate(
                    batch.to(self.input_device), attention_mask=mask.to(self.input_device), generation_config=config,
                    stopping_criteria=[watch], **options,
                )  # fmt: skip
        finally:
            if hook is not None:
                hook.remove()
        new = out[:, width:].cpu()
        self.synchronize()
        return new, time.monotonic_ns()

    def ends(self, ids):
        """Whether the last of the ids ends the text."""
        stops = self.eos if isinstance(self.eos, list) else [self.eos]
        return bool(ids) and ids[-1] in stops

    def length_of(self, ids, most, exact, aborted):
        count = min(len(ids), most)
        if not exact and self.eos is not None:
            stops = self.torch.isin(ids[:count], self.torch.tensor(self.eos)).nonzero()
            if len(stops):
                return int(stops[0]) + 1, "stop"
        return count, "length" if count == most or not aborted else "aborted"

    def count(self, prompt_tokens, output_tokens, prompt_positions, computed, steps, rows):
        c = self.counts
        c["engine_steps"] += steps
        c["prompt_tokens"] += prompt_tokens
        c["output_tokens"] += output_tokens
        c["scheduled_tokens"] += prompt_positions + max(0, computed - 1) * rows
        if self.speculates:
            c["spec_accepted"] += max(0, computed - steps) * rows

    # --- what is known besides

    def start_server(self, call):
        import continuous

        self.server_call = call
        self.server = continuous.Server(self, call)

    def trial(self, prompt, tokens):
        """A small generate, for its errors and for what its cache is. It is not
        compiled: its shape is nobody's."""
        config = self.config(tokens, {"temperature": 0.0}, True)
        will_compile = config.compile_config, config.disable_compile
        config.compile_config, config.disable_compile = None, True
        config.return_dict_in_generate = True
        batch = self.torch.ones((1, prompt), dtype=self.torch.int64, device=self.input_device)
        options = {"assistant_model": self.assistant} if self.assistant is not None else {}
        with self.without_gradients():
            out = self.model.generate(batch, attention_mask=self.torch.ones_like(batch), generation_config=config, **options)
        self.inference_mode = out.sequences.is_inference()
        cache = getattr(out, "past_key_values", None)
        if cache is not None:
            layers = getattr(cache, "layers", [])
            self.cache_classes = [type(cache).__name__] + sorted({type(layer).__name__ for layer in layers})
            self.kv_bytes_per_token = compat.cache_bytes_per_token(self.torch, layers)
            self.cache_offloaded = compat.offloads(cache)
            config.compile_config, config.disable_compile = will_compile
            self.compiled = compat.will_compile(self.torch, self.model, cache, config)
        self.asked = config  # of generate, as it holds its arguments
        self.synchronize()

    def counters(self):
        torch, named = self.torch, []
        if self.device.type == "cuda":
            devices = self.gpus
            named.append({"name": "peak_memory_bytes", "unit": "B", "value": sum(torch.cuda.max_memory_allocated(i) for i in devices)})
            named.append({"name": "reserved_memory_bytes", "unit": "B", "value": sum(torch.cuda.max_memory_reserved(i) for i in devices)})
        else:
            named.append({"name": "peak_memory_bytes", "unit": "B", "value": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024})
        counts = dict(self.counts)
        if self.server is not None:
            # What its steps computed beside tokens is not known.
            counts["engine_steps"] = self.server.manager.current_batch
            del counts["padding_tokens"], counts["scheduled_tokens"]
        else:
            counts["preemptions"] = 0
        if not self.p.get("prefix_caching"):
            counts["cached_prompt_tokens"] = 0
        if not self.speculates:
            del counts["spec_accepted"]
        if self.kv_bytes:
            named.append({"name": "kv_cache_bytes", "unit": "B", "value": self.kv_bytes})
        if self.compiled:
            counts["recompiles"] = compat.compiled_graphs()
        return {"mono_ns": time.monotonic_ns(), "counts": counts, "named": named}

    def memory_advice(self, call):
        """Numbers and advice for an out-of-memory in this engine."""
        numbers = {"batch_size": self.batch_size}
        if self.gpus:
            self.torch.cuda.empty_cache()
            free, total = self.torch.cuda.mem_get_info(self.gpus[0])
            numbers.update(free_bytes=free, total_bytes=total, peak_bytes=self.torch.cuda.max_memory_allocated(self.gpus[0]))
        if self.server is not None:
            del numbers["batch_size"]  # it changes from step to step
            return numbers, "lower kv_cache_tokens, max_batch_tokens or batch_size, or extra.max_memory_percent"
        if self.fitted:
            numbers["largest_batch_that_ran"] = self.fitted
        alone = self.ranks is None  # others cannot be asked to try again with this one
        fits = self.largest_fitting() if call["call"] == "pass" and self.gpus and alone else 0
        if fits:
            numbers["largest_batch_that_fits"] = fits
            return numbers, f"a batch of {self.batch_size} did not fit and one of {fits} should: set batch_size to it, or shorten the workload"
        return numbers, f"a batch of {self.batch_size} did not fit; lower batch_size or the workload's lengths"

    def largest_fitting(self):
        """The largest half, quarter and so on of the batch that fits: its prompts
        are really computed, what its output adds to the cache is counted."""
        call, data = self.current
        size = min(self.batch_size, len(call["prompt_lengths"])) // 2
        while size >= 1:
            try:
                if self.fits(call, data, size):
                    return size
            except Exception as failure:
                if type(failure).__name__ != "OutOfMemoryError":
                    return 0
            size //= 2
        return 0

    def fits(self, call, data, size):
        torch = self.torch
        torch.cuda.empty_cache()
        for gpu in self.gpus:
            torch.cuda.reset_peak_memory_stats(gpu)
        lengths, tokens = call["prompt_lengths"], max(call["max_tokens"])
        width = max(lengths)
        batch = torch.ones((size, width), dtype=torch.int64, device=self.input_device)
        with self.without_gradients():
            self.model.generate(batch, attention_mask=torch.ones_like(batch), generation_config=self.config(2, {"temperature": 0.0}, True))
        grows = int((self.kv_bytes_per_token or 0) * self.p.get("num_beams", 1) * size * tokens)
        held = placing.elements(self.model)
        return all(self.has_room(gpu, grows * held[f"cuda:{gpu}"] / sum(held.values())) for gpu in self.gpus)

    def has_room(self, gpu, grows):
        """Whether a GPU has room for its layers' part of what the output adds."""
        free, total = self.torch.cuda.mem_get_info(gpu)
        others = total - free - self.torch.cuda.memory_reserved(gpu)
        return self.torch.cuda.max_memory_reserved(gpu) + grows < total - others

    def tokenize(self, texts):
        if not hasattr(self, "tokenizer"):
            from transformers import AutoTokenizer

            call = self.model_call
            if "config" in call:
                raise loading.Problem("unsupported_feature", "a built-in random model has no tokeniser", "model.id", "use a synthetic workload, or a model with a tokeniser")
            self.tokenizer = AutoTokenizer.from_pretrained(call["name"], **loading.source(call, self.p))
        return [self.tokenizer(text)["input_ids"] for text in texts]

    def report(self):
        import reporting

        return reporting.report(self)
