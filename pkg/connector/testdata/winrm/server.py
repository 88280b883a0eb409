#!/usr/bin/python3
"""A WinRM server for tests. It speaks WS-Management's remote shells (MS-WSMV) and runs command lines with sh.

NTLM is not ours: gss-ntlmssp, a library of its own, checks logins and seals messages (Debian: gss-ntlmssp, python3-gssapi). So client and server
share no code. The first line of stdout is the port. Accounts are in the file NTLM_USER_FILE, one per line: DOMAIN:user:password.
"""
import argparse
import base64
import collections
import http.server
import os
import re
import signal
import ssl
import struct
import subprocess
import sys
import threading
import time
import uuid
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape

S = "http://www.w3.org/2003/05/soap-envelope"
A = "http://schemas.xmlsoap.org/ws/2004/08/addressing"
W = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"
X = "http://schemas.xmlsoap.org/ws/2004/09/transfer"
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
NS = {"s": S, "a": A, "w": W, "rsp": SHELL}
TIMED_OUT, NO_SHELL, BAD_REQUEST, NOT_ENCRYPTED = 2150858793, 2150858843, 2150858752, 2150858780
BOUNDARY = b"--Encrypted Boundary"
SEALED = 'multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted";boundary="Encrypted Boundary"'
NTLM = "1.3.6.1.4.1.311.2.2.10"
QUEUE = 1 << 20  # how much output waits for a client, in bytes: then the command has to wait

args = None
shells = {}
lock = threading.Lock()


class Fault(Exception):
    def __init__(self, code, text, subcode="w:InternalError"):
        self.code, self.text, self.subcode = code, text, subcode


class Command:
    """A command line that runs with sh, in a session of its own."""

    def __init__(self, line, env):
        self.id = str(uuid.uuid4()).upper()
        self.news = threading.Condition()
        self.queue, self.size, self.open = collections.deque(), 0, 2
        self.writing = threading.Lock()
        self.process = subprocess.Popen(["sh", "-c", line], env={**os.environ, **env}, start_new_session=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        for name, pipe in (("stdout", self.process.stdout), ("stderr", self.process.stderr)):
            threading.Thread(target=self.read, args=(name, pipe), daemon=True).start()

    def read(self, name, pipe):
        while True:
            data = pipe.read(32768)
            with self.news:
                while data and self.size > QUEUE:
                    self.news.wait()
                if data:
                    self.queue.append((name, data))
                    self.size += len(data)
                else:
                    self.open -= 1
                self.news.notify_all()
            if not data:
                return

    def send(self, data, end):
        with self.writing:
            try:
                if data:
                    view = memoryview(data)
                    while view:
                        view = view[self.process.stdin.write(view):]
                if end:
                    self.process.stdin.close()
            except (BrokenPipeError, ValueError):
                raise Fault(232, "The pipe is being closed.")

    def receive(self, room, patience):
        """Output of at most room bytes, and the exit code if that was all."""
        end = time.monotonic() + patience
        out = []
        with self.news:
            while not self.queue and self.open and time.monotonic() < end:
                self.news.wait(max(0, end - time.monotonic()))
            while self.queue and room > 0:
                name, data = self.queue.popleft()
                now, later = data[:room], data[room:]
                if later:
                    self.queue.appendleft((name, later))
                out.append((name, now))
                room -= len(now)
                self.size -= len(now)
            self.news.notify_all()
            over = not self.queue and not self.open
        if not over:
            if not out:
                raise Fault(TIMED_OUT, "The WS-Management service cannot complete the operation within the time specified in OperationTimeout.",
                            "w:TimedOut")
            return out, None
        code = self.process.wait()
        return out, 128 - code if code < 0 else code

    def kill(self):
        """Ends every process of the session. It looks again until there is none: one may just have started another."""
        while self.kill_once():
            pass

    def kill_once(self):
        found = False
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                with open(f"/proc/{name}/stat") as f:
                    fields = f.read().rsplit(")", 1)[1].split()
                if int(fields[3]) == self.process.pid and fields[0] not in "ZX":
                    os.kill(int(name), signal.SIGKILL)
                    found = True
            except (OSError, IndexError):
                pass
        return found


def duration(text):
    m = re.fullmatch(r"PT(?:(\d+)M)?(?:([\d.]+)S)?", text or "")
    return 60 * int(m[1] or 0) + float(m[2] or 0) if m else 60.0


class Request:
    def __init__(self, text):
        try:
            self.root = ET.fromstring(text)
        except ET.ParseError as e:
            raise Fault(BAD_REQUEST, f"The request is not XML: {e}", "w:SchemaValidationError")
        self.id = self.text("s:Header/a:MessageID")
        self.action = self.text("s:Header/a:Action")
        self.patience = duration(self.text("s:Header/w:OperationTimeout"))
        self.room = int(self.text("s:Header/w:MaxEnvelopeSize") or 153600)
        self.options = {o.get("Name"): o.text for o in self.root.findall("s:Header/w:OptionSet/w:Option", NS)}
        if len(text) > args.max_envelope:
            raise Fault(BAD_REQUEST, "The request is larger than MaxEnvelopeSize.", "w:EncodingLimit")

    def text(self, path):
        node = self.root.find(path, NS)
        return "" if node is None else node.text or ""

    def shell(self):
        for s in self.root.findall("s:Header/w:SelectorSet/w:Selector", NS):
            if s.get("Name") == "ShellId":
                with lock:
                    if s.text in shells:
                        return shells[s.text]
        raise Fault(NO_SHELL, "The request for the Windows Remote Shell failed because the shell was not found on the server.", "w:InvalidSelectors")

    def command(self, node):
        command = self.shell()["commands"].get(node.get("CommandId"))
        if command is None:
            raise Fault(2150858844, "The command was not found.")
        return command


def answer(req):
    """Returns the action and the body of the answer."""
    body = req.root.find("s:Body", NS)
    if req.action == X + "/Create":
        with lock:
            if len(shells) >= args.max_shells:
                raise Fault(2150859173, "The maximum number of concurrent shells for this user has been exceeded.", "w:QuotaLimit")
        if req.options.get("WINRS_CODEPAGE") not in ("65001", "437"):
            raise Fault(BAD_REQUEST, "unknown code page")
        env = {v.get("Name"): v.text or "" for v in body.findall("rsp:Shell/rsp:Environment/rsp:Variable", NS)}
        shell = {"id": str(uuid.uuid4()).upper(), "env": env, "commands": {}}
        with lock:
            shells[shell["id"]] = shell
        return X + "/CreateResponse", (f'<x:ResourceCreated xmlns:x="{X}"><a:Address>http://host/wsman</a:Address><a:ReferenceParameters>'
                                       f'<w:ResourceURI>{SHELL}/cmd</w:ResourceURI><w:SelectorSet><w:Selector Name="ShellId">{shell["id"]}</w:Selector>'
                                       f'</w:SelectorSet></a:ReferenceParameters></x:ResourceCreated><rsp:Shell><rsp:ShellId>{shell["id"]}</rsp:ShellId></rsp:Shell>')
    if req.action == X + "/Delete":
        shell = req.shell()
        with lock:
            shells.pop(shell["id"], None)
        for command in shell["commands"].values():
            command.kill()
        return X + "/DeleteResponse", ""
    if req.action == SHELL + "/Command":
        shell = req.shell()
        line = body.find("rsp:CommandLine", NS)
        words = [line.find("rsp:Command", NS).text or ""] + [a.text or "" for a in line.findall("rsp:Arguments", NS)]
        if req.options.get("WINRS_SKIP_CMD_SHELL") != "FALSE":
            raise Fault(BAD_REQUEST, "this server runs every command with a shell")
        text = " ".join(words)
        if len(text) > 8191:
            raise Fault(BAD_REQUEST, "The command line is too long.")
        command = Command(args.prefix + text, shell["env"])
        shell["commands"][command.id] = command
        return SHELL + "/CommandResponse", f"<rsp:CommandResponse><rsp:CommandId>{command.id}</rsp:CommandId></rsp:CommandResponse>"
    if req.action == SHELL + "/Send":
        for stream in body.findall("rsp:Send/rsp:Stream", NS):
            req.command(stream).send(base64.b64decode(stream.text or ""), (stream.get("End") or stream.get("EndStream") or "").lower() == "true")
        return SHELL + "/SendResponse", "<rsp:SendResponse/>"
    if req.action == SHELL + "/Receive":
        command = req.command(body.find("rsp:Receive/rsp:DesiredStream", NS))
        out, code = command.receive((req.room - 4096) * 3 // 4, req.patience)
        text = "".join(f'<rsp:Stream Name="{n}" CommandId="{command.id}">{base64.b64encode(d).decode()}</rsp:Stream>' for n, d in out)
        state = "Running" if code is None else "Done"
        exit_code = "" if code is None else f"<rsp:ExitCode>{code}</rsp:ExitCode>"
        return SHELL + "/ReceiveResponse", (f'<rsp:ReceiveResponse>{text}<rsp:CommandState CommandId="{command.id}" State="{SHELL}/CommandState/{state}">'
                                            f"{exit_code}</rsp:CommandState></rsp:ReceiveResponse>")
    if req.action == SHELL + "/Signal":
        node = body.find("rsp:Signal", NS)
        command = req.command(node)
        if node.find("rsp:Code", NS).text.lower() == SHELL + "/signal/terminate":
            command.kill()
        return SHELL + "/SignalResponse", "<rsp:SignalResponse/>"
    raise Fault(BAD_REQUEST, "unknown action", "w:ActionNotSupported")


def envelope(action, related, body):
    return (f'<s:Envelope xml:lang="en-US" xmlns:s="{S}" xmlns:a="{A}" xmlns:w="{W}" xmlns:rsp="{SHELL}"><s:Header><a:Action>{action}</a:Action>'
            f"<a:MessageID>uuid:{uuid.uuid4()}</a:MessageID><a:RelatesTo>{escape(related)}</a:RelatesTo></s:Header><s:Body>{body}</s:Body></s:Envelope>").encode()


def fault(f, related):
    return envelope("http://schemas.dmtf.org/wbem/wsman/1/wsman/fault", related, (
        f"<s:Fault><s:Code><s:Value>s:Receiver</s:Value><s:Subcode><s:Value>{f.subcode}</s:Value></s:Subcode></s:Code><s:Reason>"
        f'<s:Text xml:lang="en-US">{escape(f.text)}</s:Text></s:Reason><s:Detail><f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" '
        f'Code="{f.code}" Machine="host"><f:Message>{escape(f.text)}</f:Message></f:WSManFault></s:Detail></s:Fault>'))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def setup(self):
        super().setup()
        self.context = None  # of this connection's login with NTLM

    def log_message(self, *words):
        pass

    def reply(self, status, body=b"", headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self):
        self.reply(401, headers=[("WWW-Authenticate", {"ntlm": "Negotiate", "basic": 'Basic realm="WSMAN"'}[m]) for m in args.auth])

    def authorised(self):
        """Reports whether the request may go on; if not, it has been answered."""
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if self.context is not None and self.context.complete:
            if not token:
                return True
            self.context = None  # another login on this connection
        if scheme == "Basic" and "basic" in args.auth:
            if base64.b64decode(token).decode(errors="replace") == args.login:
                return True
        elif scheme == "Negotiate" and "ntlm" in args.auth:
            return self.negotiate(base64.b64decode(token))
        self.refuse()
        return False

    def negotiate(self, token):
        import gssapi
        try:
            if self.context is None:
                creds = gssapi.Credentials(usage="accept", mechs=[gssapi.OID.from_int_seq(NTLM)])
                bindings = None
                if args.binding:
                    from gssapi.raw import ChannelBindings
                    bindings = ChannelBindings(application_data=b"tls-server-end-point:" + bytes.fromhex(args.binding))
                self.context = gssapi.SecurityContext(creds=creds, usage="accept", channel_bindings=bindings)
            out = self.context.step(token)
        except gssapi.exceptions.GSSError as e:
            print("login refused:", e, file=sys.stderr, flush=True)
            self.context = None
            self.refuse()
            return False
        if not self.context.complete:
            self.reply(401, headers=[("WWW-Authenticate", "Negotiate " + base64.b64encode(out).decode())])
            return False
        return True

    def unseal(self, body):
        head, _, rest = body.partition(BOUNDARY + b"\r\n\tContent-Type: application/octet-stream\r\n")
        length = int(re.search(rb"Length=(\d+)", head)[1])
        size = struct.unpack("<I", rest[:4])[0]
        return self.context.unwrap(rest[4:4 + size + length]).message

    def seal(self, text):
        wrapped = self.context.wrap(text, True).message
        return (BOUNDARY + b"\r\n\tContent-Type: application/HTTP-SPNEGO-session-encrypted\r\n\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length="
                + str(len(text)).encode() + b"\r\n" + BOUNDARY + b"\r\n\tContent-Type: application/octet-stream\r\n" + struct.pack("<I", 16) + wrapped
                + BOUNDARY + b"--\r\n")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/wsman":
            self.reply(404)
            return
        if not self.authorised():
            return
        if not body:
            self.reply(200)
            return
        sealed = self.headers.get("Content-Type", "").startswith("multipart/encrypted")
        related, status = "", 200
        try:
            if sealed:
                body = self.unseal(body)
            elif args.sealed_only:
                raise Fault(NOT_ENCRYPTED, "Unencrypted traffic is currently disabled.")
            req = Request(body)
            related = req.id
            text = envelope(*(lambda action, inner: (action, related, inner))(*answer(req)))
        except Fault as f:
            status, text = 500, fault(f, related)
        if sealed:
            self.reply(status, self.seal(text), [("Content-Type", SEALED)])
        else:
            self.reply(status, text, [("Content-Type", "application/soap+xml;charset=UTF-8")])


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client):
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError, ssl.SSLError)):
            super().handle_error(request, client)


def main():
    global args
    p = argparse.ArgumentParser()
    p.add_argument("--auth", type=lambda s: s.split(","), default=["ntlm"], help="ntlm, basic or both")
    p.add_argument("--login", default="", help="user:password for basic")
    p.add_argument("--cert", help="PEM file with certificate and key: speak https")
    p.add_argument("--binding", default="", help="hash of the certificate, in hex, that logins with NTLM must be bound to")
    p.add_argument("--sealed-only", action="store_true", help="refuse messages that are not sealed")
    p.add_argument("--max-shells", type=int, default=30)
    p.add_argument("--max-envelope", type=int, default=153600)
    p.add_argument("--port", type=int, default=0)
    p.add_argument("--prefix", default="", help="what every command line begins with")
    args = p.parse_args()
    server = Server(("127.0.0.1", args.port), Handler)
    if args.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.cert)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_address[1], flush=True)
    server.serve_forever()


main()
