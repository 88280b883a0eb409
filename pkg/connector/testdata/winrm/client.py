#!/usr/bin/python3
"""Uses a WinRM server with pywinrm, a client of its own (Debian: python3-winrm), to show that server.py speaks WinRM.

Arguments: URL, transport (ntlm, basic), message encryption (always, never), user, password.
"""
import sys

import winrm.protocol

url, transport, encryption, user, password = sys.argv[1:]
p = winrm.protocol.Protocol(url, transport=transport, username=user, password=password, message_encryption=encryption,
                            server_cert_validation="ignore", operation_timeout_sec=1, read_timeout_sec=60)
shell = p.open_shell(env_vars={"GREETING": "hello"}, codepage=65001)
for line, want in (
        ("echo $GREETING; echo wrong >&2; exit 7", (b"hello\n", b"wrong\n", 7)),
        ("sleep 2; printf 'gr\u00fc\u00df'", ("gr\u00fc\u00df".encode(), b"", 0)),
        ("head -c 300000 /dev/zero", (bytes(300000), b"", 0))):
    command = p.run_command(shell, line)
    got = p.get_command_output(shell, command)
    p.cleanup_command(shell, command)
    if got != want:
        sys.exit(f"{line!r}: {got[0][:200]!r}, {got[1]!r}, {got[2]}")
p.close_shell(shell)
print("ok")
