package gcetest

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"golang.org/x/crypto/ssh"
	"google.golang.org/api/googleapi"
	"google.golang.org/protobuf/proto"

	"github.com/taskscaler/taskscaler/internal/cloudtest/machine"
)

func newKey(t *testing.T) (ssh.Signer, string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer := must(ssh.NewSignerFromKey(key))
	return signer, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey())))
}

// login runs a command on a machine.
func login(address, user string, key ssh.Signer, hostKey *ssh.PublicKey) (string, error) {
	c, err := ssh.Dial("tcp", address, &ssh.ClientConfig{User: user, Auth: []ssh.AuthMethod{ssh.PublicKeys(key)}, Timeout: time.Minute,
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			*hostKey = key
			return nil
		}})
	if err != nil {
		return "", err
	}
	defer func() { _ = c.Close() }()
	s, err := c.NewSession()
	if err != nil {
		return "", err
	}
	out, err := s.Output("echo hello")
	return string(out), err
}

func TestKeysInMetadata(t *testing.T) {
	park, err := machine.Open(machine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = park.Close() })
	r := newRig(t, Config{Machines: OnPark(park), Groups: []GroupConfig{
		{Name: "ci", Zone: zoneA, TargetSize: 1, User: "ci", Metadata: map[string]string{"enable-guest-attributes": "TRUE"}},
	}})
	name := r.Instances()[0].Name
	key, public := newKey(t)
	late, latePublic := newKey(t)
	line := func(public string, end time.Time) string {
		return fmt.Sprintf(`ci:%s google-ssh {"userName":"ci","expireOn":"%s"}`, public, end.UTC().Format("2006-01-02T15:04:05+0000"))
	}
	r.setKeys(name, line(public, time.Now().Add(time.Hour))+"\n"+line(latePublic, time.Now().Add(-time.Hour))+"\nci:nonsense\nnothing")
	in := r.get(zoneA, name)
	address := net.JoinHostPort(in.GetNetworkInterfaces()[0].GetNetworkIP(), strconv.Itoa(park.Port()))
	var hostKey ssh.PublicKey
	deadline := time.Now().Add(time.Minute)
	out, err := login(address, "ci", key, &hostKey)
	for err != nil && time.Now().Before(deadline) {
		out, err = login(address, "ci", key, &hostKey)
	}
	if err != nil || out != "hello\n" {
		t.Fatalf("output %q, error %v", out, err)
	}
	if _, err := login(address, "ci", late, &hostKey); err == nil {
		t.Error("a key that has expired was accepted")
	}
	attributes := must(r.instances.GetGuestAttributes(r.ctx, &computepb.GetGuestAttributesInstanceRequest{Project: project, Zone: zoneA, Instance: name,
		QueryPath: proto.String("hostkeys/")}))
	entry := attributes.GetQueryValue().GetItems()[0]
	if got := entry.GetKey() + " " + entry.GetValue(); got != strings.TrimSpace(string(ssh.MarshalAuthorizedKey(hostKey))) {
		t.Errorf("the host key %q of the attributes is not that of the machine", got)
	}
}

// setKeys sets the keys in the metadata of an instance.
func (r *rig) setKeys(name, keys string) {
	r.t.Helper()
	m := r.get(zoneA, name).GetMetadata()
	m.Items = with(m.GetItems(), "ssh-keys", keys)
	r.ok(r.instances.SetMetadata(r.ctx, &computepb.SetMetadataInstanceRequest{Project: project, Zone: zoneA, Instance: name, MetadataResource: m}))
}

func TestSerialPort(t *testing.T) {
	r := newRig(t, Config{Groups: []GroupConfig{{Name: "ci", Zone: zoneA, TargetSize: 1}}})
	name := r.Instances()[0].Name
	port := must(r.instances.GetSerialPortOutput(r.ctx, &computepb.GetSerialPortOutputInstanceRequest{Project: project, Zone: zoneA, Instance: name}))
	if !strings.Contains(port.GetContents(), name) {
		t.Errorf("the serial port says %q", port.GetContents())
	}
}

func TestFingerprintOfMetadata(t *testing.T) {
	r := newRig(t, Config{Groups: []GroupConfig{{Name: "ci", Zone: zoneA, TargetSize: 1}}})
	name := r.Instances()[0].Name
	m := r.get(zoneA, name).GetMetadata()
	if err := r.SetMetadata(zoneA, name, "ssh-keys", "other:ssh-rsa AAAA"); err != nil {
		t.Fatal(err)
	}
	set := func(m *computepb.Metadata) error {
		_, err := r.instances.SetMetadata(r.ctx, &computepb.SetMetadataInstanceRequest{Project: project, Zone: zoneA, Instance: name, MetadataResource: m})
		return err
	}
	refused(t, set(m), http.StatusPreconditionFailed, "conditionNotMet", "Supplied fingerprint does not match current metadata fingerprint.")
	m = r.get(zoneA, name).GetMetadata()
	m.Items = append(m.Items, m.GetItems()[0])
	refused(t, set(m), http.StatusBadRequest, "invalid", "duplicate")
	m.Items = []*computepb.Items{{Key: proto.String("big"), Value: proto.String(strings.Repeat("x", maxValue+1))}}
	refused(t, set(m), http.StatusBadRequest, "invalid", "too large")
	_, err := r.instances.GetGuestAttributes(r.ctx, &computepb.GetGuestAttributesInstanceRequest{Project: project, Zone: zoneA, Instance: name})
	refused(t, err, http.StatusPreconditionFailed, "conditionNotMet", "disabled")
}

// Two clients add keys at the same time. With the fingerprint none is lost.
func TestRaceForMetadata(t *testing.T) {
	r := newRig(t, Config{Groups: []GroupConfig{{Name: "ci", Zone: zoneA, TargetSize: 1}}})
	name := r.Instances()[0].Name
	const rounds = 20
	var all sync.WaitGroup
	for who := range 2 {
		all.Go(func() {
			for i := range rounds {
				for {
					m := r.get(zoneA, name).GetMetadata()
					m.Items = with(m.GetItems(), "ssh-keys", value(m, "ssh-keys")+fmt.Sprintf("user%d:key%d\n", who, i))
					_, err := r.instances.SetMetadata(r.ctx, &computepb.SetMetadataInstanceRequest{Project: project, Zone: zoneA, Instance: name, MetadataResource: m})
					if err == nil {
						break
					}
					var e *googleapi.Error
					if !errors.As(err, &e) || e.Code != http.StatusPreconditionFailed {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	all.Wait()
	keys, err := r.Metadata(zoneA, name, "ssh-keys")
	if n := strings.Count(keys, "\n"); err != nil || n != 2*rounds {
		t.Fatalf("%d keys, error %v", n, err)
	}
}

func TestParseKey(t *testing.T) {
	for line, want := range map[string]string{
		"a:ssh-rsa AAAA x": "ssh-rsa AAAA x", "ssh-rsa AAAA": "", ":x": "", "a:": "", `a:ssh-rsa AAAA google-ssh {"userName":"a","expireOn":"2018-12-04T20:12:00+0000"}`: "ssh-rsa AAAA",
		`a:ssh-rsa AAAA google-ssh {"userName":"a","expireOn":"2018-12-04T20:12:00Z"}`: "ssh-rsa AAAA", `a:ssh-rsa AAAA google-ssh {"userName":"a"}`: "", `a:ssh-rsa AAAA google-ssh x`: "",
	} {
		if k, ok := parseKey(line); k.public != want || ok != (want != "") {
			t.Errorf("%q: %q, %v", line, k.public, ok)
		}
	}
}

func TestWhichKeysCount(t *testing.T) {
	for _, c := range []struct{ instance, project, want string }{
		{"ssh-keys=a:1", "ssh-keys=b:2", "a b"},
		{"ssh-keys=a:1,block-project-ssh-keys=TRUE", "ssh-keys=b:2", "a"},
		{"ssh-keys=a:1", "enable-oslogin=TRUE", ""},
		{"ssh-keys=a:1,enable-oslogin=FALSE", "enable-oslogin=TRUE", "a"},
	} {
		parse := func(text string) *computepb.Metadata {
			m := map[string]string{}
			for one := range strings.SplitSeq(text, ",") {
				key, v, _ := strings.Cut(one, "=")
				m[key] = v
			}
			return &computepb.Metadata{Items: items(m)}
		}
		in := &instance{metadata: parse(c.instance), server: &Server{metadata: parse(c.project)}}
		var users []string
		for _, k := range in.keys() {
			users = append(users, k.user)
		}
		if got := strings.Join(users, " "); got != c.want {
			t.Errorf("%+v: got %q", c, got)
		}
	}
}
