package static

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// same returns a fault for each address that two hosts of the list share: two jobs would run on that host at once, and the reset of one beside the
// other. Names are not looked up.
func (g *InstanceGroup) same(hosts map[string]Host) (faults []error) {
	owners := map[string][2]string{} // host and key, by address
	for _, name := range slices.Sorted(maps.Keys(hosts)) {
		h := hosts[name]
		info := g.merged(&h, "")
		for _, a := range [][2]string{{"external_addr", h.ExternalAddr}, {"internal_addr", h.InternalAddr}} {
			if a[1] == "" {
				continue
			}
			addr := canonical(endpoint(&info, a[1]))
			first, taken := owners[addr]
			switch {
			case !taken:
				owners[addr] = [2]string{name, a[0]}
			case first[0] != name:
				faults = append(faults, fmt.Errorf("%s.%s and %s.%s are the same host, %s: two jobs would run on it at once; remove one of them, or correct its address",
					first[0], first[1], name, a[0], addr))
			}
		}
	}
	return faults
}

// canonical returns one spelling of an address with a port.
func canonical(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.Unmap().String()
	} else {
		host = strings.TrimSuffix(strings.ToLower(host), ".")
	}
	return net.JoinHostPort(host, port)
}

// checkHostKeys returns what is wrong with the host keys of a host. A list without a key for the protocol is a fault too: nothing would be verified.
func (g *InstanceGroup) checkHostKeys(h *Host) (faults []error) {
	info := g.merged(h, "")
	protocol := protocolOf(&info)
	remedy := "write a line that ssh-keyscan prints for the host, such as \"ssh-ed25519 AAAA…\""
	if protocol == provider.ProtocolWinRMHTTPS {
		remedy = "write \"x509-sha256 \" and the SHA-256 of the host's certificate in hex, as openssl x509 -fingerprint -sha256 prints it"
	}
	fits := len(h.HostKeys) == 0 || protocol == provider.ProtocolWinRM
	for i, line := range h.HostKeys {
		of, err := connector.CheckHostKey(line)
		if err != nil {
			faults = append(faults, fmt.Errorf("host_keys: entry %d is no host key (%w): %s", i+1, err, remedy))
		}
		fits = fits || of == protocol
	}
	if len(faults) == 0 && !fits {
		faults = append(faults, fmt.Errorf("host_keys: no entry is for the protocol of the host, %s: %s", protocol, remedy))
	}
	return faults
}
