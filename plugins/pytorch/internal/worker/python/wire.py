"""Messages between the plugin and this worker, over an inherited socket pair.

A message is two 32-bit little-endian lengths, then that many bytes of JSON and
of raw data. A thread reads them, so that an abort is seen during a generate and
so that the worker ends with its plugin.
"""

import json
import os
import queue
import socket
import struct
import threading

LENGTHS = struct.Struct("<II")
MOST_JSON = 64 << 20
MOST_DATA = 1 << 30


class Line:
    """The worker's end of the socket pair."""

    def __init__(self, descriptor):
        self.socket = socket.socket(fileno=descriptor)
        self.calls = queue.Queue()
        self.number = 0  # of the call being served
        self.broken_off = 0  # calls up to this number are to end
        self.listener = None  # of messages that belong to the call being served
        self.sending = threading.Lock()
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def aborted(self):
        return self.broken_off >= self.number

    def wants_stop(self):
        return self.aborted

    def next_call(self):
        """The next call, its arguments with its name among them, and its raw data."""
        call, data = self.calls.get()
        self.number = call["number"]
        return {**call.get("arguments", {}), "call": call["call"]}, data

    def send(self, header, data=b""):
        text = json.dumps(header).encode()
        with self.sending:
            self.socket.sendall(LENGTHS.pack(len(text), len(data)) + text)
            if data:
                self.socket.sendall(data)

    def listen(self, listener):
        """Gives messages of the call being served to listener, in the thread that
        reads them."""
        self.listener = listener

    def stage(self, kind, moment, message=""):
        self.send({"event": "stage", "kind": kind, "moment": moment, "message": message})

    def _read(self):
        while True:
            lengths = self._exactly(LENGTHS.size)
            json_length, data_length = LENGTHS.unpack(lengths)
            if json_length > MOST_JSON or data_length > MOST_DATA:
                os._exit(70)
            call = json.loads(self._exactly(json_length))
            data = self._exactly(data_length)
            if call["call"] == "abort":
                self.broken_off = call["number"]
                continue
            if call["call"] == "exit":
                # The device is freed with the process; a tear-down in Python
                # could only be slower, or hang.
                os._exit(0)
            if call.get("within"):
                listener = self.listener
                # One that came after its call's end is too late for an answer.
                if listener is not None and call["number"] == self.number:
                    listener(call, data)
                continue
            self.calls.put((call, data))

    def _exactly(self, count):
        buffer = bytearray(count)
        view, got = memoryview(buffer), 0
        while got < count:
            try:
                n = self.socket.recv_into(view[got:])
            except OSError:
                n = 0
            if n == 0:
                os._exit(0)  # the plugin is gone, and nobody else wants this
            got += n
        return buffer
