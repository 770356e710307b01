"""Clients of ZooKeeper servers: a command a line on standard input, an answer a line on standard output,
`ok ...` or `error ...`. `NAME` names a client, `HOSTS` is host:port,host:port.

connect NAME HOSTS TIMEOUT_MS   a session                              -> ok SESSION (hex)
create NAME PATH VALUE          a persistent node                      -> ok
ephemeral NAME PATH             an ephemeral node                      -> ok
set NAME PATH VALUE                                                    -> ok
variety NAME PATH               one of everything below PATH           -> ok
fill NAME PATH COUNT SIZE       COUNT nodes of SIZE bytes below PATH   -> ok ACKNOWLEDGED
load NAME PATH RATE             begins setData, RATE a second          -> ok
unload NAME                     ends it       -> ok ACKNOWLEDGED FAILED LONGEST_MS
states NAME                     -> ok SESSION STATE,STATE,... (since it was connected)
churn HOSTS PATH COUNT          sessions with two ephemerals each; two of three are closed, one just
                                loses its connection                   -> ok OPENED
extended HOST PATH              a container and two nodes with a TTL (3.5 knows them) below PATH -> ok
walk NAME FILE                  the tree without /zookeeper, sorted, into FILE -> ok NODES EPHEMERALS
reconfig NAME JOINING LEAVING   `-` for none                           -> ok
config NAME                     /zookeeper/config, | for a line end    -> ok CONFIG
close NAME                                                             -> ok
"""

import base64
import logging
import socket
import struct
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import NodeExistsError
from kazoo.protocol.serialization import Close, Connect, Create
from kazoo.security import OPEN_ACL_UNSAFE, make_digest_acl

logging.disable(logging.CRITICAL)
clients = {}
loads = {}


class Client:
    def __init__(self, hosts, timeout_ms):
        self.states = []
        self.zk = KazooClient(hosts=hosts, timeout=timeout_ms / 1000, randomize_hosts=False)
        self.zk.add_listener(lambda state: self.states.append(str(state)))
        self.zk.start(timeout=20)
        self.zk.add_auth("digest", "me:secret")


class Load(threading.Thread):
    """Writes at a steady rate, whether or not the earlier ones were answered."""

    def __init__(self, zk, path, rate):
        super().__init__(daemon=True)
        self.zk, self.path, self.rate = zk, path, rate
        self.acknowledged, self.failed, self.longest = 0, 0, 0.0
        self.stop, self.lock = threading.Event(), threading.Condition()
        self.waiting = 0

    def run(self):
        began, asked = time.monotonic(), 0
        while not self.stop.is_set():
            due = int((time.monotonic() - began) * self.rate)
            for _ in range(due - asked):
                self.write(asked)
                asked += 1
            self.stop.wait(0.005)

    def write(self, n):
        at = time.monotonic()
        with self.lock:
            self.waiting += 1

        def answered(result):
            with self.lock:
                self.waiting -= 1
                self.longest = max(self.longest, time.monotonic() - at)
                if result.successful():
                    self.acknowledged += 1
                else:
                    self.failed += 1
                self.lock.notify()

        self.zk.set_async(self.path, b"value %d" % n).rawlink(answered)

    def end(self):
        self.stop.set()
        self.join()
        with self.lock:
            self.lock.wait_for(lambda: self.waiting == 0, timeout=20)
        self.failed += self.waiting
        return self.acknowledged, self.failed, int(self.longest * 1000)


def connect(name, hosts, timeout_ms):
    clients[name] = Client(hosts, int(timeout_ms))
    return "%x" % clients[name].zk.client_id[0]


def create(name, path, value):
    clients[name].zk.create(path, value.encode(), makepath=True)


def ephemeral(name, path):
    clients[name].zk.create(path, b"here", ephemeral=True, makepath=True)


def set_data(name, path, value):
    clients[name].zk.set(path, value.encode())


def variety(name, path):
    zk = clients[name].zk
    zk.create(path, b"", makepath=True)
    zk.create(path + "/a/b/c/d", b"deep", makepath=True)
    for _ in range(5):
        zk.create(path + "/sequence-", b"s", sequence=True)
    for n in range(3):
        zk.create(path + "/session-", b"e", sequence=True, ephemeral=True)
    zk.create(path + "/guarded", b"\0\xff" * 100, acl=[make_digest_acl("me", "secret", all=True)])
    zk.create(path + "/acl", b"x")
    zk.set_acls(path + "/acl", OPEN_ACL_UNSAFE + [make_digest_acl("you", "secret", read=True)])
    for n in range(20):
        zk.set(path + "/a/b", b"version %d" % n)
    zk.create(path + "/gone/below", b"x", makepath=True)
    zk.delete(path + "/gone", recursive=True)
    done = zk.transaction()
    done.create(path + "/multi", b"m")
    done.set_data(path + "/a", b"by multi")
    done.delete(path + "/a/b/c/d")
    done.check(path + "/acl", 0)
    results = done.commit()
    assert not any(isinstance(result, Exception) for result in results), results
    try:
        zk.create(path, b"once more")
    except NodeExistsError:
        pass
    closed = Client(",".join("%s:%s" % host for host in zk.hosts), 10000)
    closed.zk.create(path + "/closed", b"e", ephemeral=True)
    closed.zk.stop()
    closed.zk.close()


def fill(name, path, count, size):
    zk = clients[name].zk
    zk.ensure_path(path)
    data = b"x" * int(size)
    asked = [zk.create_async("%s/n" % path, data, sequence=True) for _ in range(int(count))]
    return len([a.get(timeout=60) for a in asked])


def load(name, path, rate):
    zk = clients[name].zk
    zk.ensure_path(path)
    loads[name] = Load(zk, path, int(rate))
    loads[name].start()


def unload(name):
    return "%d %d %d" % loads.pop(name).end()


def states(name):
    client = clients[name]
    return "%x %s" % (client.zk.client_id[0], ",".join(client.states))


class Session:
    """A session on a socket of its own: it can die without a word. It sends no pings."""

    def __init__(self, address, timeout_ms):
        host, port = address.split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        self.send(bytes(Connect(0, 0, timeout_ms, 0, b"\0" * 16, False).serialize()))
        self.receive()
        self.xid = 0

    def send(self, body):
        self.socket.sendall(struct.pack(">i", len(body)) + body)

    def receive(self):
        (length,) = struct.unpack(">i", self.exactly(4))
        return self.exactly(length)

    def exactly(self, count):
        got = b""
        while len(got) < count:
            more = self.socket.recv(count - len(got))
            if not more:
                raise EOFError("the server closed the connection")
            got += more
        return got

    def ask(self, kind, body):
        self.xid += 1
        self.send(struct.pack(">ii", self.xid, kind) + body)
        xid, _, error = struct.unpack(">iqi", self.receive()[:16])
        if (xid, error) != (self.xid, 0):
            raise RuntimeError("asked %d of type %d, answered %d: error %d" % (self.xid, kind, xid, error))

    def ephemeral(self, path):
        self.ask(1, bytes(Create(path, b"e", OPEN_ACL_UNSAFE, 1).serialize()))

    def close(self):
        self.ask(Close.type, b"")
        self.socket.close()


def extended(host, path):
    session = Session(host, 10000)
    # The request's type and the node's kind: createContainer, then createTTL, whose TTL stands at the end.
    container = Create(path + "/container", b"c", OPEN_ACL_UNSAFE, 4)
    session.ask(19, bytes(container.serialize()))
    session.ask(1, bytes(Create(path + "/container/child", b"", OPEN_ACL_UNSAFE, 0).serialize()))
    for name, flags, ttl_ms in (("/ttl", 5, 600_000), ("/ttl-", 6, 3_600_000)):
        lasting = Create(path + name, b"t", OPEN_ACL_UNSAFE, flags)
        session.ask(21, bytes(lasting.serialize()) + struct.pack(">q", ttl_ms))
    session.close()


def churn(hosts, path, count):
    """Fifty at a time, one server after the other. Who will close its session waits its turn without a ping: on a
    machine that is slow that takes a while, and must not be the session's end."""
    hosts, opened = hosts.split(","), 0
    while opened < int(count):
        batch = []
        for _ in range(min(50, int(count) - opened)):
            dies = len(batch) % 3 == 2
            session = Session(hosts[opened % len(hosts)], 4000 if dies else 60000)
            for half in "ab":
                session.ephemeral("%s/e%d%s" % (path, opened, half))
            opened += 1
            batch.append(session)
        for n, session in enumerate(batch):
            if n % 3 == 2:
                session.socket.close()
            else:
                session.close()
    return opened


def walk(name, file):
    zk = clients[name].zk
    zk.sync("/")
    lines, ephemerals, paths = [], 0, ["/"]
    while paths:
        path = paths.pop()
        data, stat = zk.get(path)
        acls, _ = zk.get_acls(path)
        ephemerals += stat.ephemeralOwner != 0
        text = "null" if data is None else base64.b64encode(data).decode()
        acl = ";".join(sorted("%d %s %s" % (a.perms, a.id.scheme, a.id.id) for a in acls))
        lines.append("%s data %s stat %s acl %s" % (path, text, " ".join(map(str, stat)), acl))
        for child in zk.get_children(path):
            if path != "/" or child != "zookeeper":
                paths.append(path.rstrip("/") + "/" + child)
    with open(file, "w") as out:
        out.write("\n".join(sorted(lines)) + "\n")
    return "%d %d" % (len(lines), ephemerals)


def reconfig(name, joining, leaving):
    some = lambda which: None if which == "-" else which
    clients[name].zk.reconfig(joining=some(joining), leaving=some(leaving), new_members=None)


def config(name):
    zk = clients[name].zk
    zk.sync("/")
    return zk.get("/zookeeper/config")[0].decode().replace("\n", "|")


def close(name):
    client = clients.pop(name)
    client.zk.stop()
    client.zk.close()


COMMANDS = {
    "connect": connect, "create": create, "ephemeral": ephemeral, "set": set_data, "variety": variety,
    "fill": fill, "load": load, "unload": unload, "states": states, "churn": churn, "extended": extended,
    "walk": walk, "reconfig": reconfig, "config": config,
    "close": close,
}

for line in sys.stdin:
    words = line.split()
    try:
        answer = COMMANDS[words[0]](*words[1:])
        print("ok" if answer is None else "ok %s" % answer, flush=True)
    except Exception as why:  # whatever it is, it is the answer
        print("error %s: %s" % (type(why).__name__, str(why).replace("\n", " ")), flush=True)
