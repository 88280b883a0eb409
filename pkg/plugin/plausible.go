package plugin

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"

	"google.golang.org/grpc"

	"github.com/taskscaler/taskscaler/internal/safetext"
	"github.com/taskscaler/taskscaler/pkg/plugin/internal/pb"
	"github.com/taskscaler/taskscaler/pkg/provider"
)

// Limits of one answer. Real answers are far below them.
const (
	maxAnswer       = 64 << 20  // bytes of one message
	maxListed       = 1_000_000 // instances in one list
	maxHostKeys     = 64        // of one instance
	maxCredential   = 64 << 10  // bytes of a password, a key or a host key
	maxAddress      = 1 << 10   // bytes of an address, a user's name, or another short text
	maxCapabilities = 64
	maxPort         = 65535
)

// boundedConn does not read messages over maxAnswer. go-plugin's own limit is 2 GiB.
type boundedConn struct{ grpc.ClientConnInterface }

func (c boundedConn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	return c.ClientConnInterface.Invoke(ctx, method, args, reply, append(opts, grpc.MaxCallRecvMsgSize(maxAnswer))...)
}

func (c boundedConn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return c.ClientConnInterface.NewStream(ctx, desc, method, append(opts, grpc.MaxCallRecvMsgSize(maxAnswer))...)
}

// impossible is the error for an answer that no correct plugin gives. It says nothing about an instance, so its kind is KindTransient.
func (p *Process) impossible(format string, args ...any) error {
	return provider.Errorf(provider.KindTransient, "plugin %s %s, which is a fault of the plugin", p.name, fmt.Sprintf(format, args...))
}

// plausibleInfo returns an error if the answer of Init cannot be used.
func (p *Process) plausibleInfo(r *pb.InitResponse) error {
	if n := r.GetMaxSize(); n < 0 {
		return provider.Errorf(provider.KindConfig, "plugin %s says that its group can hold %d instances (ProviderInfo.MaxSize), which is a fault of the plugin", p.name, n)
	}
	return nil
}

// accepted returns the ids of got that were asked for, each once, and how many others there are.
func accepted(asked, got []string) (ids []string, others int) {
	open := make(map[string]bool, len(asked))
	for _, id := range asked {
		open[id] = true
	}
	for _, id := range got {
		once, known := open[id]
		switch {
		case !known:
			others++
		case once:
			open[id] = false
			ids = append(ids, id)
		}
	}
	return ids, others
}

// plausibleConnectInfo returns an error that says why the answer for an instance cannot be used. It shows no secret.
func plausibleConnectInfo(id string, r *pb.ConnectInfoResponse) error {
	c := r.GetConnector()
	if got := r.GetId(); got != "" && got != id {
		return fmt.Errorf("the id is %s", safetext.Quote(safetext.Line(got, maxSentState)))
	}
	if err := plausibleConnector(c); err != nil {
		return err
	}
	if err := plausibleTexts([]field{{"external_addr", r.GetExternalAddr()}, {"internal_addr", r.GetInternalAddr()}}); err != nil {
		return err
	}
	return plausibleKeys(r)
}

// plausibleConnector returns an error that says why these settings cannot be used, in either direction. It shows no secret. A negative keepalive is
// right: it means none.
func plausibleConnector(c *pb.ConnectorConfig) error {
	if port := c.GetProtocolPort(); port < 0 || port > maxPort {
		return fmt.Errorf("the port is %d", port)
	}
	if c.GetTimeoutNs() < 0 {
		return fmt.Errorf("the timeout is %s", time.Duration(c.GetTimeoutNs()))
	}
	if len(c.GetPassword()) > maxCredential || len(c.GetKey()) > maxCredential {
		return fmt.Errorf("the password or the key has more than %d bytes", maxCredential)
	}
	return plausibleTexts([]field{{"os", c.GetOs()}, {"arch", c.GetArch()}, {"protocol", c.GetProtocol()}, {"username", c.GetUsername()}})
}

func plausibleTexts(fields []field) error {
	for _, f := range fields {
		if len(f.text) > maxAddress || strings.ContainsFunc(f.text, unicode.IsControl) {
			return fmt.Errorf("%s has %d bytes or a control character", f.name, len(f.text))
		}
	}
	return nil
}

func plausibleKeys(r *pb.ConnectInfoResponse) error {
	if n := len(r.GetHostKeys()); n > maxHostKeys {
		return fmt.Errorf("there are %d host keys", n)
	}
	for _, key := range r.GetHostKeys() {
		if len(key) > maxCredential {
			return fmt.Errorf("a host key has %d bytes", len(key))
		}
	}
	if t := r.GetExpires(); t != nil {
		// RFC 3339, in which times are stored, has four digits for the year.
		if at := time.Unix(t.GetSeconds(), int64(t.GetNanos())).UTC(); at.Year() < 1 || at.Year() > 9999 {
			return fmt.Errorf("it expires in the year %d", at.Year())
		}
	}
	return nil
}
