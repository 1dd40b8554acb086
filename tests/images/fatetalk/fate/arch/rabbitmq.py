"""Messages by a RabbitMQ broker, managed and called as FATE's federation does that."""
import time

import pika
import requests


class Federation:
    def __init__(self, session, party, config, routes):
        self.session, self.party, self.config, self.routes = session, party, config, routes
        self.queues, self.vhosts, self.channels = {}, set(), {}
        self.ask("PUT", f"users/{session}", {"password": session, "tags": ""})

    def ask(self, method, path, body=None):
        answer = requests.request(method, f"http://{self.config['host']}:{self.config['mng_port']}/api/{path}", json=body,
                                  headers={"Content-Type": "application/json"}, auth=(self.config["user"], self.config["password"]), timeout=60)
        if answer.status_code not in (200, 201, 204):
            raise RuntimeError(f"{method} {path}: {answer.status_code} {answer.text}")
        return answer

    def vhost(self, peer):
        low, high = sorted([self.party, peer])
        return "-".join([self.session, *low, *high])

    def allow(self, user, vhost):
        self.ask("PUT", f"permissions/{vhost}/{user}", {"configure": ".*", "write": ".*", "read": ".*"})

    def prepare(self, peer, name):
        if (peer, name) in self.queues:
            return self.queues[peer, name]
        copies = self.config["mode"] == "replication"
        vhost, mine, theirs = self.vhost(peer), "-".join([*self.party, *peer, name]), "-".join([*peer, *self.party, name])
        send, receive = (begin + f"{self.session}-{of}" for begin, of in zip(("send-", "receive-") if copies else ("", ""), (mine, theirs)))
        if vhost not in self.vhosts:
            self.ask("PUT", f"vhosts/{vhost}")
            self.allow(self.config["user"], vhost)
            self.allow(self.session, vhost)
            self.vhosts.add(vhost)
        for queue in (send, receive):
            self.ask("PUT", f"queues/{vhost}/{queue}", {"auto_delete": False, "durable": True, "arguments": {}})
        if copies:
            at = self.routes[peer[1]]
            uri = f"amqp://{self.session}:{self.session}@{at['host']}:{at['port']}"
            self.ask("PUT", f"parameters/federation-upstream/{vhost}/{receive}", {"value": {"uri": uri, "queue": receive.replace("receive", "send", 1)}})
            self.ask("PUT", f"policies/{vhost}/{receive}",
                     {"pattern": f"^{receive}$", "apply-to": "queues", "definition": {"federation-upstream": receive}})
        self.queues[peer, name] = send, receive
        return send, receive

    def open(self, peer):
        if peer not in self.channels:
            connection = pika.BlockingConnection(pika.ConnectionParameters(
                host=self.config["host"], port=self.config["port"], virtual_host=self.vhost(peer), heartbeat=3600,
                credentials=pika.PlainCredentials(self.session, self.session)))
            channel = connection.channel()
            channel.confirm_delivery()
            self.channels[peer] = connection, channel
        return self.channels[peer][1]

    def push(self, body, name, tag, to):
        send, _ = self.prepare(to, name)
        self.open(to).basic_publish(exchange="", routing_key=send, body=body, properties=pika.BasicProperties(
            content_type="text/plain", app_id=to[1], message_id=name, correlation_id=tag, headers={}, delivery_mode=1))

    def pull(self, name, tag, of):
        _, receive = self.prepare(of, name)
        channel = self.open(of)
        for method, properties, body in channel.consume(queue=receive):
            channel.basic_ack(delivery_tag=method.delivery_tag)
            if (properties.message_id, properties.correlation_id) != (name, tag):
                raise ValueError(f"awaited {name} {tag}, and got {properties}")
            channel.cancel()
            return body

    def destroy(self):
        """Ends once the partner's broker has what is in the queues here, and a second later, as FATE's does."""
        for (peer, _), (send, _) in self.queues.items():
            if self.config["mode"] == "replication":
                while self.open(peer).queue_declare(queue=send, passive=True).method.message_count:
                    time.sleep(0.05)
        time.sleep(1)
        for connection, _ in self.channels.values():
            connection.close()
        for vhost in self.vhosts:
            self.ask("DELETE", f"vhosts/{vhost}")
        self.ask("DELETE", f"users/{self.session}")
