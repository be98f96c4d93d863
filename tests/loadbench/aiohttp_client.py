"""A streaming client shaped like `vllm bench serve`: one asyncio process, one
aiohttp session, a task for each request, events split from decoded text, and
json.loads before each stamp. Prints one JSON line of the shape that the Go
client prints, too."""

import argparse
import asyncio
import codecs
import json
import resource
import time

import aiohttp

parser = argparse.ArgumentParser()
parser.add_argument("--url")
parser.add_argument("--streams", type=int)
parser.add_argument("--tokens", type=int)
parser.add_argument("--seconds", type=float)
parser.add_argument("--warm", type=float, default=1.0)
args = parser.parse_args()

errors, tokens, requests = [], 0, 0
stop = False
warm_ns = time.monotonic_ns() + int(args.warm * 1e9)


class Events:
    def __init__(self):
        self.text = ""
        self.decoder = codecs.getincrementaldecoder("utf-8")()

    def add(self, data):
        self.text += self.decoder.decode(data)
        found = []
        while "\n\n" in self.text:
            event, self.text = self.text.split("\n\n", 1)
            if event := event.strip():
                found.append(event)
        return found


async def one(session, url, body):
    global tokens, requests
    begin = time.perf_counter()
    gaps, recent, text = [], begin, ""
    async with session.post(url=url, json=body) as answer:
        events = Events()
        async for piece in answer.content.iter_any():
            for event in events.add(piece):
                chunk = event.removeprefix("data: ")
                if chunk == "[DONE]":
                    continue
                data = json.loads(chunk)
                if choices := data.get("choices"):
                    part = choices[0].get("text")
                    now, now_ns = time.perf_counter(), time.monotonic_ns()
                    gaps.append(now - recent)
                    recent = now
                    text += part or ""
                    tokens += 1
                    if (wrote := int(part, 16)) > warm_ns:
                        errors.append(now_ns - wrote)
            if stop:
                return
    requests += 1


async def stream(session, url, body):
    while not stop:
        await one(session, url, body)


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def main():
    global stop
    body = {"model": "m", "prompt": list(range(1000, 1128)), "max_tokens": args.tokens, "stream": True,
            "stream_options": {"include_usage": True}, "ignore_eos": True}
    connector = aiohttp.TCPConnector(limit=args.streams, limit_per_host=args.streams, keepalive_timeout=60)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=21600)) as session:
        tasks = [asyncio.create_task(stream(session, args.url + "/v1/completions", body)) for _ in range(args.streams)]
        await asyncio.sleep(args.warm)
        begin, cpu0, tokens0, requests0 = time.monotonic(), cpu(), tokens, requests
        await asyncio.sleep(args.seconds)
        wall, used = time.monotonic() - begin, cpu() - cpu0
        sample = sorted(errors)
        at = lambda q: sample[int(q * (len(sample) - 1))] / 1e3 if sample else 0.0
        print(json.dumps({"tokens": tokens - tokens0, "requests": requests - requests0, "wall_s": wall, "cpu_s": used,
                          "error_p50_us": at(0.5), "error_p99_us": at(0.99)}), flush=True)
        stop = True
        for task in tasks:
            task.cancel()


try:
    asyncio.run(main())
except asyncio.CancelledError:
    pass
