package config

import (
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// winrm reads the keys for WinRM, and checks them beside the others.
func (r *reader) winrm(s section, c *Connector) {
	c.WinRMShell = s.choice("winrm_shell", "", same("cmd", "powershell"), []string{"cmd", "powershell"})
	c.WinRMAuth = s.choice("winrm_auth", "", same("ntlm", "basic"), []string{"ntlm", "basic"})
	c.WinRMCAFile = r.resolve(s.line("winrm_ca_file"))
	c.WinRMInsecure = s.flag("winrm_insecure", false)
	s.checkPath("winrm_ca_file")
	if s.path != "runners.autoscaler.connector_config" {
		return
	}
	https := c.Protocol == provider.ProtocolWinRMHTTPS
	if c.WinRM() && !https && c.WinRMAuth == "basic" {
		if c.WinRMInsecure {
			s.warn(CodeWinRM, s.get("winrm_insecure"), "winrm_insecure", "lets everybody in the network read the password, the commands and their output, because Basic "+
				"has no encryption", `write protocol = "winrm+https", or winrm_auth = "ntlm"`)
		} else {
			s.fault(CodeWinRM, s.get("winrm_auth"), "winrm_auth", "is basic, which shows the password to the network without TLS, so no instance is connected to",
				`write protocol = "winrm+https", or winrm_auth = "ntlm"`)
		}
	}
	if https && c.WinRMInsecure {
		s.warn(CodeWinRM, s.get("winrm_insecure"), "winrm_insecure", "accepts any certificate: whoever answers at the address of an instance may get its jobs",
			"remove the line: the manager then pins the certificate that it sees first, or checks it with winrm_ca_file")
	}
	if c.WinRM() {
		warnSSH(s, c)
	}
	for _, key := range []string{"winrm_shell", "winrm_auth", "winrm_ca_file", "winrm_insecure"} {
		switch {
		case !s.has(key):
		case c.Protocol == provider.ProtocolSSH:
			s.warn(CodeWinRM, s.get(key), key, "is not used: the protocol is ssh", `write protocol = "winrm+https", or remove the line`)
		case key == "winrm_ca_file" && c.WinRM() && !https:
			s.warn(CodeWinRM, s.get(key), key, "is not used: winrm has no certificates", `write protocol = "winrm+https", or remove the line`)
		}
	}
}

// warnSSH reports the keys of SSH that have no effect with WinRM. A jump host still uses some of them.
func warnSSH(s section, c *Connector) {
	const ssh = `write protocol = "ssh", or `
	if c.KeyPath != "" && (!c.ProxyJump.Set() || c.ProxyJump.KeyPath != "") {
		for key, instead := range map[string]string{"key_path": "set password", "key_passphrase": "remove the line", "key_passphrase_path": "remove the line"} {
			if s.has(key) {
				s.warn(CodeWinRM, s.get(key), key, "is not used: WinRM logs in with a password", ssh+instead)
			}
		}
	}
	if c.ProxyJump.Set() {
		return
	}
	for _, key := range []string{"allow_legacy_ssh", "allow_dh_group_exchange"} {
		if n := s.get(key); n != nil && n.value == true {
			s.warn(CodeWinRM, n, key, "is not used: WinRM has no algorithms of SSH", ssh+"remove the line")
		}
	}
}

// WinRM reports whether c asks for WinRM: by its protocol, or, without one, by the operating system.
func (c Connector) WinRM() bool {
	switch c.Protocol {
	case provider.ProtocolWinRM, provider.ProtocolWinRMHTTPS:
		return true
	}
	return c.Protocol == "" && c.OS == "windows"
}
