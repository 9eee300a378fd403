#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A chat server's day, quickly: what tools/run-demo watches.

Every connection gets a compressor of its own, as permessage-deflate wants it. Connections come and
go; the compressors of those that have gone stay. Everything else here looks busy and is innocent.
"""
import collections
import json
import sys
import time
import zlib

compressors = {}
history = collections.deque(maxlen=200)


def connect(number):
    compressors[number] = zlib.compressobj(9)


def disconnect(number):
    """Forgets the connection, but not what connect() made for it."""


def render(number):
    message = {"from": number, "text": "hello " * 400, "tags": ["x" * 600] * 3}
    return json.loads(json.dumps(message))


def serve(seconds):
    end = time.monotonic() + seconds
    number = 0
    while time.monotonic() < end:
        connect(number)
        history.append(render(number)["text"])
        for _ in range(20):
            render(number)
        disconnect(number)
        number += 1
        time.sleep(0.05)


serve(float(sys.argv[1]))
