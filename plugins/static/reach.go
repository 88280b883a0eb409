package static

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// dialFunc opens a network connection.
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

const (
	checkTime   = 5 * time.Second // how long a host may take to answer
	checkAtOnce = 16              // hosts that are asked at the same time
)

// connectInfo says how to reach a host.
func (g *InstanceGroup) connectInfo(h *Host, id string) (provider.ConnectInfo, error) {
	info := g.merged(h, id)
	if h.KeyPath != "" {
		key, err := readFile(h.KeyPath)
		if err != nil {
			return info, provider.Errorf(provider.KindConfig, "key_path: %w", err)
		}
		info.Key = key
	}
	return info, nil
}

// merged fills what a host leaves out from connector_config. It reads no key.
func (g *InstanceGroup) merged(h *Host, id string) provider.ConnectInfo {
	info := provider.ConnectInfo{ConnectorConfig: g.settings.Reveal().ConnectorConfig, ID: id, ExternalAddr: h.ExternalAddr, InternalAddr: h.InternalAddr, HostKeys: h.HostKeys}
	info.Username = cmp.Or(h.Username, info.Username)
	info.Password = cmp.Or(h.Password.Reveal(), info.Password)
	info.Timeout = cmp.Or(h.Timeout.Std(), info.Timeout)
	info.OS = cmp.Or(h.OS, info.OS)
	info.Protocol = cmp.Or(provider.Protocol(h.Protocol), info.Protocol)
	return info
}

// protocolOf returns the protocol that is spoken, like pkg/connector.
func protocolOf(info *provider.ConnectInfo) provider.Protocol {
	switch {
	case info.Protocol != "":
		return info.Protocol
	case strings.EqualFold(info.OS, "windows"):
		return provider.ProtocolWinRM
	}
	return provider.ProtocolSSH
}

// address returns where the plugin itself reaches a host.
func (g *InstanceGroup) address(info *provider.ConnectInfo) string {
	addr := cmp.Or(info.InternalAddr, info.ExternalAddr)
	if g.UseExternalAddr {
		addr = cmp.Or(info.ExternalAddr, info.InternalAddr)
	}
	return endpoint(info, addr)
}

// endpoint adds the port to an address that has none.
func endpoint(info *provider.ConnectInfo, addr string) string {
	port := cmp.Or(info.ProtocolPort, provider.DefaultProtocolPort(protocolOf(info)))
	host, own, err := net.SplitHostPort(addr)
	if err != nil {
		host, own = strings.TrimSuffix(strings.TrimPrefix(addr, "["), "]"), ""
	}
	if n, err := strconv.Atoi(own); err == nil && n != 0 {
		port = n
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// check reports whether a host answers at its port. It does not log in.
func (g *InstanceGroup) check(ctx context.Context, h *Host) error {
	if g.NoCheck {
		return nil
	}
	info, err := g.connectInfo(h, "")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	dial := g.dial
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	conn, err := dial(ctx, "tcp", g.address(&info))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if protocolOf(&info) != provider.ProtocolSSH {
		return nil
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	hello := make([]byte, 4)
	if _, err := conn.Read(hello[:1]); err != nil { // a frozen host accepts connections, and says nothing
		if ctx.Err() != nil {
			err = errors.New("it accepts connections, and does not answer")
		}
		return fmt.Errorf("%s: %w", conn.RemoteAddr(), err)
	}
	return nil
}

// Heartbeat reports whether the host of an instance answers.
func (g *InstanceGroup) Heartbeat(ctx context.Context, id string) error {
	name, h, err := g.used(ctx, id)
	switch {
	case errors.Is(err, errUnlisted):
		return nil // nothing speaks against it
	case err != nil:
		return err
	}
	if err := g.check(ctx, &h); err != nil {
		return provider.Errorf(provider.KindTransient, "host %s: %w", name, err)
	}
	return nil
}

// candidate is a free host.
type candidate struct {
	name  string
	host  Host
	ended time.Time // of its last use
	last  bool      // it did not answer
}

// free returns the free hosts in the order in which they are asked, and the number of hosts that are being reset. It leaves out
// those that did not answer. g.mu is held.
func (g *InstanceGroup) free(s *state, silent map[string]error) (list []candidate, resetting int) {
	for name, h := range g.hosts {
		if u := s.Uses[name]; u != nil {
			if u.Resetting {
				resetting++
			}
			continue
		}
		if g.unclean(s, name) {
			resetting++
			continue
		}
		if silent[name] != nil {
			continue
		}
		c := candidate{name: name, host: h, last: g.silent[name]}
		if p := s.Past[name]; p != nil {
			c.ended = p.Ended
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b candidate) int {
		switch {
		case a.last == b.last:
			return cmp.Or(a.ended.Compare(b.ended), cmp.Compare(a.name, b.name))
		case a.last:
			return 1
		}
		return -1
	})
	return list, resetting
}

// answering returns the hosts that answer, in the same order. It asks no more hosts than it needs for n of them, and adds to silent why others did not.
func (g *InstanceGroup) answering(ctx context.Context, list []candidate, n int, silent map[string]error) (fit []candidate) {
	for len(list) > 0 && len(fit) < n && ctx.Err() == nil {
		some := list[:min(len(list), n-len(fit), checkAtOnce)]
		list = list[len(some):]
		errs := make([]error, len(some))
		var wg sync.WaitGroup
		for i := range some {
			wg.Go(func() { errs[i] = g.check(ctx, &some[i].host) })
		}
		wg.Wait()
		for i, err := range errs {
			if err == nil {
				fit = append(fit, some[i])
			} else {
				silent[some[i].name] = err
			}
		}
	}
	return fit
}

// why says why no further host is free.
func (g *InstanceGroup) why(resetting int, silent map[string]error) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	text := fmt.Sprintf("the list has %d", len(g.hosts))
	if resetting > 0 {
		text += fmt.Sprintf(", %d of them are being reset", resetting)
		if id, err := g.failingReset(); err != nil {
			text += fmt.Sprintf(" (%s: %v)", id, err)
		}
	}
	if len(silent) > 0 {
		name := slices.Min(slices.Collect(maps.Keys(silent)))
		text += fmt.Sprintf(", %d of them do not answer, such as %s: %v", len(silent), name, silent[name])
	}
	return text
}
