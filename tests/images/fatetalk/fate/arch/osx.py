"""Messages by OSX, called as FATE's federation calls it: gRPC in clear, no credential, and no look at what a push comes to."""
import json
import random
import time

import grpc

SERVICE = "/org.ppc.ptp.PrivateTransferTransport/"
LARGEST = (2 << 30) - 1


def varint(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def parse(message):
    """The fields of a message; each at most once."""
    fields, at = {}, 0

    def number():
        nonlocal at
        n = shift = 0
        while True:
            byte = message[at]
            at += 1
            n |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return n

    while at < len(message):
        tag = number()
        if tag & 7 == 0:
            fields[tag >> 3] = number()
            continue
        size = number()
        fields[tag >> 3] = message[at:at + size]
        at += size
    return fields


class Federation:
    def __init__(self, session, party, config, timeout=36000000):
        self.session, self.party, self.timeout = session, party, timeout
        self.channel = grpc.insecure_channel(f"{config['host']}:{config['port']}", options=[
            ("grpc.max_send_message_length", LARGEST), ("grpc.max_receive_message_length", LARGEST), ("grpc.max_metadata_size", 128 << 20),
            ("grpc.keepalive_time_ms", 7200 * 1000), ("grpc.keepalive_timeout_ms", 3600 * 1000), ("grpc.enable_retries", 1),
        ])

    def call(self, method, body, *metadata):
        said = [("x-ptp-trace-id", f"{int(time.time())}_{random.randrange(10000)}"), ("x-ptp-session-id", self.session), *metadata,
                ("x-ptp-from-node-id", self.party[1]), ("x-ptp-tech-provider-code", "FATE")]
        return parse(self.channel.unary_unary(SERVICE + method)(body, metadata=said))

    def topic(self, sender, receiver, name):
        return "-".join([self.session, *sender, *receiver, name]).encode()

    def push(self, body, name, tag, to):
        head = json.dumps({"content_type": "text/plain", "app_id": to[1], "message_id": name, "correlation_id": tag}).encode()
        message = field(2, head) + field(3, body)
        self.call("push", field(1, self.topic(self.party, to, name)) + field(2, message), ("x-ptp-target-node-id", to[1]))

    def pull(self, name, tag, of):
        answer = self.call("pop", field(1, self.topic(of, self.party, name)) + field(2, self.timeout))
        if answer.get(3) == b"E0000000601":
            raise LookupError(answer)
        message = parse(answer[2])
        head = json.loads(message[2])
        if (head["message_id"], head["correlation_id"]) != (name, tag):
            raise ValueError(f"awaited {name} {tag}, and got {head}")
        return message.get(3, b"")

    def destroy(self):
        self.call("release", b"")
