"""A subscriber without glatd, as the wire specification lets anyone write it; run by the tests.

usage: plain_subscriber.py ENDPOINT TOPIC     prints what comes as JSON lines, until the stream ends
"""

import json
import sys

import msgpack
import zmq

endpoint, prefix = sys.argv[1:]
with zmq.Context() as context, context.socket(zmq.SUB) as subscriber:
    subscriber.subscribe(prefix)
    subscriber.connect(endpoint)
    while True:
        topic, payload = subscriber.recv_multipart()
        message = msgpack.unpackb(payload)
        assert topic.decode() == "{type}/{node}/{stream}/".format(**message)
        print(json.dumps(message, ensure_ascii=False), flush=True)
        if message.get("state") in ("ended", "failed", "stopped"):
            break
