package pluginkit

import (
	"cmp"
	"strings"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Connect returns how to reach an instance: found is what the plugin knows of it (its ID, its addresses, and a login, a port or a key that it gave to the
// machine), and what the operator set wins. With use_static_credentials the user, the password and the key are the operator's alone. A key of found is not
// used either if the operator set a password or a key, because the machine may not have it. A port of found counts only for the protocol of found.
//
//	info := pluginkit.Connect(g.settings.Reveal(), provider.ConnectInfo{ID: id, InternalAddr: vm.IP,
//		ConnectorConfig: provider.ConnectorConfig{Username: "ubuntu", OS: "linux", Key: key}})
func Connect(settings provider.Settings, found provider.ConnectInfo) provider.ConnectInfo {
	info := found
	set, c := settings.ConnectorConfig, &info.ConnectorConfig
	*c = set
	c.OS = cmp.Or(set.OS, found.OS)
	c.Arch = cmp.Or(set.Arch, found.Arch)
	c.Protocol = cmp.Or(set.Protocol, found.Protocol)
	if set.ProtocolPort == 0 && effective(c.Protocol, c.OS) == effective(found.Protocol, found.OS) {
		c.ProtocolPort = found.ProtocolPort
	}
	c.Keepalive = cmp.Or(set.Keepalive, found.Keepalive)
	c.Timeout = cmp.Or(set.Timeout, found.Timeout)
	if set.UseStaticCredentials {
		return info
	}
	c.Username = cmp.Or(set.Username, found.Username)
	if set.Password == "" && len(set.Key) == 0 {
		c.Password, c.Key = found.Password, found.Key
	}
	return info
}

// effective returns the protocol that an empty one stands for.
func effective(p provider.Protocol, os string) provider.Protocol {
	switch {
	case p != "":
		return p
	case strings.EqualFold(os, "windows"):
		return provider.ProtocolWinRM
	}
	return provider.ProtocolSSH
}
