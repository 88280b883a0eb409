#!/usr/bin/python3
"""Stands in for powershell.exe, which does not run here, in the tests of copies over WinRM.

It does NOT run PowerShell. It knows the two scripts that copy files by their text, which the test puts into the folder TASKSCALER_POWERSHELL, and refuses any
other. For them it does what winrmcopy.go promises, on the file system of this machine: it was written from that description, and not from the scripts. So
it tests the side in Go and the protocol, and of the scripts only that they arrive unchanged.

Two files in that folder make it fail: "fail" has the words of a full disk, which it finds at the second line of data, and "silent" lets it end with success and do nothing.
"""
import base64
import hashlib
import os
import shutil
import stat
import sys

OPTIONS = ["-NoLogo", "-NoProfile", "-NonInteractive", "-ExecutionPolicy", "Bypass", "-InputFormat", "Text", "-OutputFormat", "Text", "-EncodedCommand"]
folder = os.environ["TASKSCALER_POWERSHELL"]


class Failure(Exception):
    pass


def content(name):
    try:
        with open(os.path.join(folder, name), encoding="utf-8", newline="") as f:
            return f.read()
    except FileNotFoundError:
        return None


def plain(text):
    return base64.b64decode(text, validate=True).decode()


def absolute(path):
    return os.path.normpath(os.path.join(os.environ["USERPROFILE"], path))


def is_there(path):
    """As on Windows, upper and lower case are the same."""
    name = os.path.basename(path).lower()
    return any(n.lower() == name for n in os.listdir(os.path.dirname(path)))


def words_of_a_full_disk(pieces):
    if pieces > 1 and content("fail"):
        raise Failure(content("fail"))


class Upload:
    def __init__(self):
        self.sum, self.temp, self.file, self.done, self.pieces = hashlib.sha256(), None, None, False, 0

    def run(self):
        try:
            for line in sys.stdin.buffer:
                self.take(line)
            if not self.done:
                raise Failure("the input ended before the copy was whole")
        finally:
            if self.file:
                self.file.close()
            if self.temp and os.path.isdir(self.temp):
                shutil.rmtree(self.temp)
        print("whole", flush=True)

    def take(self, line):
        if not line.endswith(b"\n"):
            raise Failure("half a line")
        word, *rest = line.decode("ascii")[:-1].split(" ")
        if word == "commit":
            return self.commit(*rest)
        self.sum.update(line)
        if word == "data":
            self.pieces += 1
            words_of_a_full_disk(self.pieces)
            self.file.write(base64.b64decode(rest[0], validate=True))
        elif word == "target":
            self.begin(plain(rest[0]), rest[1])
        elif word in ("file", "folder"):
            name = plain(rest[0])
            path = os.path.join(self.temp, name)
            if name.split("/")[0] != "data" or ".." in name.split("/") or "\\" in name:
                raise Failure(f"the name {name} is not below data")
            if is_there(path):
                raise Failure(f"{path} is there already")
            if self.file:
                self.file.close()
                self.file = None
            if word == "folder":
                os.mkdir(path)
            else:
                self.file = open(path, "xb")
        else:
            raise Failure("unknown line")

    def begin(self, path, temp):
        self.target = absolute(path)
        parent = os.path.dirname(self.target)
        self.temp = os.path.join(parent, temp)
        if os.path.isdir(self.target):
            raise Failure(f"{self.target} is an existing folder, which is not replaced: write {self.target}\\ to copy into it, or another name")
        if not os.path.isdir(parent):
            raise Failure(f"{parent}: no such folder")
        os.mkdir(self.temp)

    def commit(self, sum):
        if self.file:
            self.file.close()
        if sum.lower() != self.sum.hexdigest():
            raise Failure("the copy was changed on its way")
        os.rename(os.path.join(self.temp, "data"), self.target)
        self.done = True


class Download:
    def __init__(self):
        self.sum, self.pieces = hashlib.sha256(), 0

    def run(self):
        path = absolute(plain(sys.stdin.buffer.read().decode("ascii").removesuffix("\n")))
        if not os.path.isfile(path) and not os.path.isdir(path):
            raise Failure(f"{path}: no such file or folder")
        self.send(path, ".", True)
        sys.stdout.buffer.write(f"end {self.sum.hexdigest().upper()}\n".encode())
        sys.stdout.flush()

    def line(self, *words):
        line = " ".join(words).encode() + b"\n"
        self.sum.update(line)
        sys.stdout.buffer.write(line)

    def send(self, path, name, first=False):
        encoded = base64.b64encode(name.encode()).decode()
        if os.path.islink(path) and not first:
            raise Failure(f"{path} is a symlink or another reparse point, which cannot be copied over WinRM")
        if os.path.isdir(path):
            self.line("folder", encoded)
            for below in sorted(os.listdir(path)):
                self.send(os.path.join(path, below), f"{name}/{below}")
            return
        with open(path, "rb") as f:
            self.line("file", encoded, str(os.fstat(f.fileno())[stat.ST_SIZE]))
            while data := f.read(30720):
                self.pieces += 1
                words_of_a_full_disk(self.pieces)
                self.line("data", base64.b64encode(data).decode())


def main():
    if sys.argv[1:-1] != OPTIONS:
        raise Failure(f"powershell.exe was started with {sys.argv[1:-1]}")
    script = base64.b64decode(sys.argv[-1], validate=True).decode("utf-16-le")
    if script not in (content("upload.ps1"), content("download.ps1")):
        raise Failure("this script is none of those that copy files")
    if content("silent") is not None:
        return
    (Upload if script == content("upload.ps1") else Download)().run()


try:
    main()
except (Failure, OSError, ValueError) as e:
    print(e, file=sys.stderr, flush=True)
    sys.exit(1)
