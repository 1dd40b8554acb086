"""Components in Python, made without our kit: docs/spec/algorithm-image.md is all that they know. They need the standard library."""
import collections
import ctypes
import hashlib
import hmac
import http.client
import http.server
import io
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.parse

PROVIDER, VERSION = "pythonic", "3.1"
RUNS = 4  # of a resident container at once

STAGES, ROLES = ["default"], ["guest", "host", "local"]

# What each component does to a word, or to a table, and what its description says besides.
COMPONENTS = {
    "shout": (str.upper, {"description": "says a word in capitals"}),
    "murmur": (str.lower, {"description": "says a word in small letters", "way": "resident", "resident": {"runs": RUNS}}),
    "keep": (None, {"description": "passes a table on, and keeps of it how many rows it has"}),
}


def truth(description):
    return {"type": "bool", "default": False, "optional": True, "description": description, "type_meta": {"type": "boolean"}}


def artifact(kind, optional=False):
    return {"types": [kind], "optional": optional, "stages": STAGES, "roles": ROLES, "description": "", "is_multi": False}


def describe(name):
    inputs, outputs = {"data": {}, "model": {}}, {"data": {}, "model": {}, "metric": {"metric": artifact("json_metric")}}
    parameters = {
        "word": {"type": "str", "default": None, "optional": False, "description": "what is said", "type_meta": {"type": "string", "title": "word"}},
        "forever": truth("it does not end by itself"),
        "crash": truth("it ends as if it had been killed"),
        "leave": truth("it leaves something behind that does not end by itself"),
    }
    if name == "keep":
        parameters = {}
        inputs = {"data": {"table": artifact("dataframe")}, "model": {"before": artifact("json_model", optional=True)}}
        outputs["data"], outputs["model"] = {"copy": artifact("dataframe")}, {"kept": artifact("json_model")}
    return {
        "component": {
            "name": name, "provider": PROVIDER, "version": VERSION, "labels": [], "roles": ROLES, **COMPONENTS[name][1],
            "parameters": parameters, "input_artifacts": inputs, "output_artifacts": outputs,
        },
        "schema_version": "v1",
    }


def send(config, method, path, query=None, body=None, kind="application/json"):
    """One call to the node. Its address and the run's credential are all that leads there. It gives the kind and text of the answer."""
    node = config["mlmd"]["metadata"]
    connection = http.client.HTTPConnection(node["host"], node["port"], timeout=60)
    headers = {"Authorization": "Bearer " + os.environ["OPENFLOW_CREDENTIAL"]}
    if body is not None:
        headers["Content-Type"] = kind
    connection.request(method, path + ("?" + urllib.parse.urlencode(query) if query else ""), body, headers)
    answer = connection.getresponse()
    return answer.headers.get_content_type(), answer.read()


def data(path, answer):
    """What an answer in an envelope holds."""
    said = json.loads(answer[1])
    wrong = said.get("error") or said.get("code") and said  # of our paths; of FATE-Flow's
    if wrong:
        raise RuntimeError(path + ": " + wrong["message"])
    return said.get("data")


def call(config, path, body):
    return data(path, send(config, "POST", "/v2/worker/" + path, body=json.dumps(body)))


def content(path, answer):
    """What an answer is that has no envelope, unless it says why there is none."""
    if answer[0] == "application/json":
        data(path, answer)
        raise RuntimeError(path + ": no content")
    return answer[1]


def one(channels):
    """The channel of an input: there is one, or a list of them, or none."""
    if isinstance(channels, list):
        return channels[0] if channels else None
    return channels


def find(config, channel):
    """The table that a channel leads to: section 16."""
    if channel.get("namespace") and channel.get("name"):
        query = {"namespace": channel["namespace"], "name": channel["name"]}
    else:
        query = {"job_id": channel.get("job_id") or config["job_id"], "role": config["role"], "party_id": config["party_id"],
                 "task_name": channel["producer_task"], "output_key": channel["output_artifact_key"]}
    return data("query", send(config, "GET", "/v2/worker/data/tracking/query", query))[0]


def batches(stream):
    """The batches of an Arrow IPC stream, as its metadata and its body. The first message is the schema."""
    at = 0
    while True:
        marker, length = struct.unpack_from("<Ii", stream, at)
        if marker != 0xFFFFFFFF:
            raise ValueError("no Arrow IPC stream")
        if length == 0:
            return  # the end mark
        meta = stream[at + 8:at + 8 + length]
        message = struct.unpack_from("<I", meta)[0]
        body = struct.unpack_from("<q", meta, field(meta, message, 3))[0] if field(meta, message, 3) else 0
        at += 8 + length
        if meta[field(meta, message, 1)] == 3:  # a record batch
            header = follow(meta, field(meta, message, 2))
            yield meta, header, stream[at:at + body]
        at += body


def follow(text, at):
    return at + struct.unpack_from("<I", text, at)[0]


def field(text, table, number):
    """Where a field of a table of a FlatBuffer is; 0: the table has its default."""
    index = table - struct.unpack_from("<i", text, table)[0]
    size = struct.unpack_from("<H", text, index)[0]
    place = struct.unpack_from("<H", text, index + 4 + 2 * number)[0] if 4 + 2 * number < size else 0
    return table + place if place else 0


def identifiers(stream):
    """The first column of a table, which is its sample id, without a library."""
    for meta, header, body in batches(stream):
        rows = struct.unpack_from("<q", meta, field(meta, header, 0))[0] if field(meta, header, 0) else 0
        buffers = follow(meta, field(meta, header, 2)) + 4  # each an offset and a length: which values there are, ends, text
        ends, text = (struct.unpack_from("<q", meta, buffers + 16 * n)[0] for n in (1, 2))
        for row in range(rows):
            start, end = struct.unpack_from("<ii", body, ends + 4 * row)
            yield body[text + start:text + end].decode()


def keep(config):
    """Reads a table, writes it as another one, and saves a model."""
    found = find(config, one(config["input_artifacts"]["data"]["table"]))
    path = found["path"]
    stream = content(path, send(config, "GET", path))
    names = list(identifiers(stream))
    stored = data("object", send(config, "PUT", "/openflow/v1/container/data/object", body=stream, kind="application/vnd.apache.arrow.stream"))
    call(config, "data/tracking/save", {
        "execution_id": config["party_task_id"], "output_key": "copy", "index": 0, "uri": stored["uri"], "namespace": "", "name": "",
        "data_type": "dataframe", "meta_data": found["meta"], "overview": {"count": len(names)}, "source": {}})
    model = {"rows": len(names), "first": min(names), "last": max(names)}
    before = one((config["input_artifacts"].get("model") or {}).get("before"))
    if before:
        query = {"model_id": before.get("model_id") or config["model_id"], "model_version": before.get("model_version") or config["model_version"],
                 "role": config["role"], "party_id": config["party_id"], "task_name": before["producer_task"], "output_key": before["output_artifact_key"]}
        packed = content("model", send(config, "GET", "/v2/worker/model/download", query))
        with tarfile.open(fileobj=io.BytesIO(packed)) as members:
            model["before"] = json.load(members.extractfile("json_model"))["rows"]
    save(config, "kept", model)
    return model


def save(config, key, model):
    """Saves a model: a tar in a multipart form, whose last part it is."""
    packed = io.BytesIO()
    parties = config["conf"]["federation"]["metadata"]["parties"]["parties"]
    meta = {
        "metadata": {}, "name": None, "namespace": None, "data_overview": None, "model_key": "json_model", "type_name": "json_model", "index": None,
        "model_overview": {
            "federated": {"task_id": config["task_id"], "component": {"name": config["component"], "provider": PROVIDER, "version": VERSION, "metadata": {}},
                          "parties": {role: [p["partyid"] for p in parties if p["role"] == role] for role in ("guest", "host", "arbiter")}},
            "party": {"party_task_id": config["party_task_id"], "role": config["role"], "partyid": config["party_id"], "models": [
                {"name": "", "created_time": time.strftime("%Y-%m-%dT%H:%M:%S.000000"), "file_format": "json", "metadata": {}}]},
        },
        "source": {"task_id": config["task_id"], "party_task_id": config["party_task_id"], "task_name": config["task_name"],
                   "component": config["component"], "output_artifact_key": key, "output_index": None},
    }
    with tarfile.open(fileobj=packed, mode="w") as members:
        for name, value in (("json_model", model), ("json_model.meta.yaml", meta)):  # JSON is YAML
            text = json.dumps(value).encode()
            member = tarfile.TarInfo(name)
            member.size = len(text)
            members.addfile(member, io.BytesIO(text))
    form, edge = io.BytesIO(), "form-of-" + os.urandom(16).hex()
    for name, value in (("model_id", config["model_id"]), ("model_version", config["model_version"]), ("execution_id", config["party_task_id"]),
                        ("output_key", key), ("type_name", "json_model")):
        form.write(('--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (edge, name, value)).encode())
    form.write(('--%s\r\nContent-Disposition: form-data; name="file"; filename="%s.tar"\r\n\r\n' % (edge, key)).encode())
    form.write(packed.getvalue() + ("\r\n--%s--\r\n" % edge).encode())
    data("model", send(config, "POST", "/v2/worker/model/save", body=form.getvalue(), kind="multipart/form-data; boundary=" + edge))


def metric(config, name, kind, value):
    call(config, "metric/save", {"execution_id": config["party_task_id"], "data": [{
        "name": name, "type": kind, "groups": [{"name": "default", "index": None}], "step_axis": None, "data": value}]})


def run():
    # First of all. What a run starts itself is not hidden, so that it gets none of the variables.
    prctl(SUBREAPER, 1)
    prctl(DUMPABLE, 0)
    config = json.loads(os.environ["CONFIG"])

    def end(status, error=""):
        call(config, "task/status", {"execution_id": config["party_task_id"], "status": status, "error": error})

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the first process of a container has no handler of its own
    try:
        print(config["component"], "at", config["role"], config["party_id"], flush=True)
        if config["component"] == "keep":
            metric(config, "kept", "counts", keep(config))
        else:
            say(config)
    except Exception as failure:
        end("failed", str(failure))
        raise
    end("success")


def say(config):
    parameters = config["parameters"]
    if parameters.get("leave"):
        left = subprocess.Popen([sys.executable, "-I", "-c", "import signal; signal.pause()"], env={}, start_new_session=True)
        print("left", left.pid, flush=True)
    if parameters.get("crash"):
        os.kill(os.getpid(), signal.SIGKILL)
    while parameters.get("forever"):
        signal.pause()
    metric(config, "said", "words", {
        "word": COMPONENTS[config["component"]][0](parameters["word"]), "python": "%d.%d" % sys.version_info[:2], "user": os.getuid()})


# What runs share a user, and keep from each other all the same: section 12. The numbers are those of prctl(2).
DUMPABLE, SUBREAPER = 4, 36


def prctl(option, value):
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


def sealed(program):
    """A copy of a program that everybody may execute and nobody read: the kernel hides what executes it from its first moment."""
    copy = os.memfd_create("program", os.MFD_CLOEXEC)
    with open(program, "rb") as text:
        while piece := text.read(1 << 20):
            os.write(copy, piece)
    opened = os.open("/proc/self/fd/%d" % copy, os.O_RDONLY | os.O_CLOEXEC)  # none is executed that is open for writing
    os.fchmod(copy, 0o111)
    os.close(copy)
    return opened


class Family:
    """The processes of a server: each run, and what runs have left. It is made before the first of them."""

    def __init__(self):
        self.lock, self.live = threading.Lock(), set()
        self.program = sealed(os.path.realpath(sys.executable))
        self.worth = os.open("/proc/self/oom_score_adj", os.O_RDWR)  # as long as this process may
        self.own = os.read(self.worth, 16)
        prctl(SUBREAPER, 1)  # what a run leaves becomes a child of this process
        prctl(DUMPABLE, 0)  # nobody reads the secret out of /proc

    def start(self, arguments, **how):
        with self.lock:
            os.pwrite(self.worth, b"1000", 0)  # a run inherits it: where memory runs out, the kernel ends it and not the server
            try:
                process = subprocess.Popen(arguments, executable="/proc/self/fd/%d" % self.program, pass_fds=[self.program], **how)
            finally:
                os.pwrite(self.worth, self.own, 0)
            self.live.add(process.pid)
            return process

    def end(self, process):
        """Waits for a run, and ends what it has left, wherever that is."""
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # its number stays its own until the lock is held
        with self.lock:
            code = process.wait()
            self.live.discard(process.pid)
            for _ in range(100):  # what is ended may leave something too
                left = [pid for pid in self.children() if pid not in self.live]
                if not left:
                    break
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
                for pid in left:
                    os.waitpid(pid, 0)
        return code if code >= 0 else 128 - code

    @staticmethod
    def children():
        for name in os.listdir("/proc"):
            try:
                with open("/proc/%s/stat" % name, "rb") as stat:
                    if int(stat.read().rpartition(b")")[2].split()[1]) == os.getpid():
                        yield int(name)
            except (OSError, ValueError, IndexError):
                continue  # it has ended, or is no process


LOG = 16 << 20  # bytes of each output of a run that are kept: the newest
KEPT = 4 * RUNS  # runs: those that have ended stay until they are deleted


class Run:
    """A run in a resident container: this program again, as a process of its own."""

    def __init__(self, family, name, environment):
        self.family, self.name, self.started, self.finished, self.code = family, name, int(time.time() * 1000), 0, 0
        self.ended, self.asked = threading.Event(), False
        self.folder = tempfile.mkdtemp()
        self.logs = {"stdout": collections.deque(), "stderr": collections.deque()}
        base = {k: v for k, v in os.environ.items() if k not in ("OPENFLOW_SERVE", "OPENFLOW_SERVE_KEY")}
        self.process = family.start(
            [sys.executable, "-I", "-B", os.path.abspath(__file__), "run"], env={**base, "TMPDIR": self.folder, **environment},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        readers = [threading.Thread(target=self.keep, args=(pipe, self.logs[stream]), daemon=True)
                   for stream, pipe in (("stdout", self.process.stdout), ("stderr", self.process.stderr))]
        for reader in readers:
            reader.start()
        threading.Thread(target=self.follow, args=(readers,), daemon=True).start()

    @staticmethod
    def keep(pipe, log):
        size = 0
        while piece := pipe.read1(64 << 10):
            log.append(piece)
            size += len(piece)
            while size - len(log[0]) >= LOG:
                size -= len(log.popleft())

    def follow(self, readers):
        self.code = self.family.end(self.process)
        for reader in readers:
            reader.join(5)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.finished = int(time.time() * 1000)
        self.ended.set()

    def signal(self, number):
        with self.family.lock:
            if self.process.pid in self.family.live:  # otherwise its number may be another's
                try:
                    os.killpg(self.process.pid, number)
                except ProcessLookupError:
                    pass  # it has ended, and nobody has waited for it yet

    def stop(self, seconds):
        if not self.asked and not self.ended.is_set():
            self.asked = True
            self.signal(signal.SIGTERM)
        threading.Thread(target=lambda: self.ended.wait(seconds) or self.signal(signal.SIGKILL), daemon=True).start()

    def told(self):
        ended = self.ended.is_set()
        return {"id": self.name, "state": "ended" if ended else "running", "exit_code": self.code if ended else 0,
                "started": self.started, "finished": self.finished if ended else 0}


class Residence(http.server.BaseHTTPRequestHandler):
    """The interface of a resident container: section 12."""
    protocol_version = "HTTP/1.1"
    timeout = 120  # of a connection on which nothing is said
    runs, lock, closing, family = {}, threading.Lock(), False, None

    def log_message(self, *_):
        pass

    def answer(self, code, body=b""):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        self.send_response(code)
        if code != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if code != 204:
            self.wfile.write(body)

    def handle_call(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > 1 << 20:
            self.close_connection = True  # what it sends is not read
            return self.answer(413)
        text = self.rfile.read(length)
        if re.fullmatch(r"/v1/proof\?nonce=[A-Za-z0-9]{16,128}", self.path) and self.command == "GET":
            asked = ("GET " + self.path).encode()
            return self.answer(200, {"proof": hmac.new(os.environ["OPENFLOW_SERVE_KEY"].encode(), asked, hashlib.sha256).hexdigest()})
        said = self.headers.get("Authorization", "").encode("latin-1", "replace")
        if not hmac.compare_digest(said, ("Bearer " + os.environ["OPENFLOW_SERVE_KEY"]).encode()):
            return self.answer(401)
        body = json.loads(text or b"{}")
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        known = re.fullmatch(r"/v1/runs/([A-Za-z0-9_.-]{1,128})(/log|/stop)?", url.path)
        if known:
            return self.one(known[1], self.command + (known[2] or ""), query, body)
        if self.command == "GET" and url.path == "/v1/live":
            return self.answer(200)
        if self.command == "GET" and url.path == "/v1/ready":
            return self.answer(503 if self.closing else 200)
        if self.command == "GET" and url.path == "/v1/runs":
            with self.lock:
                return self.answer(200, {"runs": [run.told() for run in self.runs.values()]})
        self.answer(404)

    do_GET = do_PUT = do_POST = do_DELETE = handle_call

    def one(self, name, call, query, body):
        if call == "PUT":
            return self.begin(name, body.get("environment") or {})
        with self.lock:
            run = self.runs.get(name)
            if call == "DELETE":
                if run and not run.ended.is_set():
                    return self.answer(409)
                self.runs.pop(name, None)
                return self.answer(204)
        if run is None:
            return self.answer(404)
        if call == "GET":
            run.ended.wait(min(int(query.get("wait", 0)), 60))
            return self.answer(200, run.told())
        if call == "GET/log" and query.get("stream") in run.logs:
            return self.answer(200, b"".join(run.logs[query["stream"]].copy())[-LOG:])
        if call == "POST/stop":
            run.stop(body.get("grace", 0) / 1000)
            return self.answer(202)
        self.answer(404)

    def begin(self, name, environment):
        with self.lock:
            if name in self.runs:
                return self.answer(200, self.runs[name].told())
            going = sum(not run.ended.is_set() for run in self.runs.values())
            if self.closing or going >= RUNS or len(self.runs) >= KEPT:
                return self.answer(503)
            self.runs[name] = Run(self.family, name, environment)
            self.answer(201, self.runs[name].told())


def serve():
    host, port = os.environ["OPENFLOW_SERVE"].rsplit(":", 1)
    if not os.environ["OPENFLOW_SERVE_KEY"]:
        sys.exit("OPENFLOW_SERVE_KEY is empty")
    Residence.family = Family()
    server = http.server.ThreadingHTTPServer((host, int(port)), Residence)
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    asked.wait()
    with Residence.lock:
        Residence.closing = True
        left = list(Residence.runs.values())
    for run in left:
        run.stop(3)
    for run in left:
        run.ended.wait(4)
    sys.exit(143)


def main(arguments):
    if arguments == ["list"]:
        print(json.dumps({"buildin": list(COMPONENTS), "thirdparty": []}))
    elif arguments[:2] == ["desc", "--name"] and len(arguments) == 3 and arguments[2] in COMPONENTS:
        print(json.dumps(describe(arguments[2])))
    elif arguments in ([], ["run"]):
        run()
    elif arguments == ["serve"]:
        serve()
    else:
        sys.exit("usage: list | desc --name NAME | run | serve")


main(sys.argv[1:])
