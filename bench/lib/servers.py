"""The servers that are measured: started, and ended by their own process id, on processors of their own."""

import glob
import os
import shutil
import socket
import subprocess
import tempfile
import time

ADDRESS = "10.203.0.1"
LISTENS_S = 10


class Arena:
    """Where servers and load meet: loopback, or a network namespace where Janus is there, which ignores the loopback
    interface; packets to one's own address take the same way through the kernel there."""

    def __init__(self):
        self.folder = tempfile.mkdtemp()
        self.address, self.inside, self.space = "127.0.0.1", [], None
        self.janus = shutil.which("janus")
        self.without = None if self.janus else "Janus is not installed here (Debian: `apt-get install janus`)"
        self.version = None
        if not self.janus:
            return
        space = f"stentor-bench-{os.getpid()}"
        if os.getuid() != 0 or quiet("ip", "netns", "add", space).returncode != 0:
            self.without = "there was no right to make a network namespace, which Janus needs"
            return
        self.space, self.inside, self.address = space, ["ip", "netns", "exec", space], ADDRESS
        for words in (
            "link set lo up",
            "link add bench0 type veth peer name bench1",
            f"address add {ADDRESS}/30 dev bench0",
            "link set bench0 up",
            "link set bench1 up",
        ):
            subprocess.run([*self.inside, "ip", *words.split()], check=True)
        told = quiet("dpkg-query", "-W", "-f", "${Version}", "janus").stdout
        self.version = f"Janus {told}".strip()

    def close(self):
        if self.space:
            quiet("ip", "netns", "delete", self.space)
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, words, cpus, **options):
        """A program that has been started, on these processors."""
        return subprocess.Popen(["taskset", "-c", cpus, *self.inside, *words], **options)

    def free_port(self):
        script = "import socket, sys; s = socket.socket(); s.bind((sys.argv[1], 0)); print(s.getsockname()[1])"
        return int(quiet(*self.inside, "python3", "-c", script, self.address, check=True).stdout)


class NeverReady(Exception):
    """A server that was started and does not listen."""


class Server:
    """One that is running."""

    def __init__(self, arena, words, cpus, port, to):
        self.to = to
        self.log = os.path.join(arena.folder, "log")
        with open(self.log, "w") as log:
            # `taskset` and `ip netns exec` become the server by exec, so that this id is the server's.
            self.process = arena.run(words, cpus, stdout=log, stderr=log)
        self.wait_for(arena, port)

    def wait_for(self, arena, port):
        knock = [*arena.inside, "bash", "-c", f"exec 3<>/dev/tcp/{arena.address}/{port}"]
        end = time.monotonic() + LISTENS_S
        while quiet(*knock).returncode != 0:
            if time.monotonic() > end or self.process.poll() is not None:
                self.end()
                said = open(self.log).read()[-500:]
                raise NeverReady(f"nothing listens on port {port}: {said}")
            time.sleep(0.05)

    def end(self):
        self.process.kill()
        self.process.wait()


def stentor(arena, program, cpus, media):
    """Stentor with further lines of [media]."""
    http, rtmp, udp = (arena.free_port() for _ in range(3))
    file = os.path.join(arena.folder, "stentor.toml")
    on = f'listen = "{arena.address}'
    with open(file, "w") as out:
        out.write(f'[http]\n{on}:{http}"\n[rtmp]\n{on}:{rtmp}"\n[media]\n{on}:{udp}"\n{media}\n')
        out.write("[[application]]\nsdk_app_id = 1\nopen = true\n")
    url = f"http://{arena.address}:{http}"
    to = ["--whip", url + "/whip/live/load{n}", "--whep", url + "/whep/live/load{n}"]
    return Server(arena, [program, "serve", "--config", file], cpus, http, to)


def janus(arena, cpus):
    """Janus as its authors advise for many viewers: event loops instead of a thread a viewer, one thread a mount point
    (its own, no helpers), nothing loaded that is not used, no log but errors."""
    http = arena.free_port()
    folder = os.path.join(arena.folder, "janus.d")
    os.makedirs(folder, exist_ok=True)
    plugins = (glob.glob("/usr/lib/*/janus") + glob.glob("/usr/lib/janus") + ["/usr/lib/janus"])[0]

    def others(kind, used):
        names = [os.path.basename(file) for file in glob.glob(f"{plugins}/{kind}/*.so")]
        return ",".join(name for name in names if used not in name)

    files = {
        "janus.jcfg": f"""general: {{
  configs_folder = "{folder}"
  plugins_folder = "{plugins}/plugins"
  transports_folder = "{plugins}/transports"
  events_folder = "{plugins}/events"
  loggers_folder = "{plugins}/loggers"
  debug_level = 1
  session_timeout = 0
  event_loops = 1
}}
nat: {{ ice_lite = true
  ice_enforce_list = "bench0" }}
plugins: {{ disable = "{others("plugins", "streaming")}" }}
transports: {{ disable = "{others("transports", "http")}" }}
""",
        "janus.transport.http.jcfg": f"""general: {{ http = true
  port = {http}
  base_path = "/janus" }}
admin: {{ admin_http = false }}
""",
        "janus.plugin.streaming.jcfg": "general: { }\n",
    }
    for name, text in files.items():
        with open(os.path.join(folder, name), "w") as out:
            out.write(text)
    return Server(arena, ["janus", "-F", folder], cpus, http, ["--janus", f"http://{arena.address}:{http}/janus"])


def quiet(*words, check=False):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=check)
