package gcetest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

// sshKey is a line of the metadata ssh-keys.
type sshKey struct {
	line, user, public string
	until              time.Time // zero: it does not end
}

// expiryFormats are the forms of expireOn that Google's agent reads.
func expiryFormats() []string { return []string{time.RFC3339, "2006-01-02T15:04:05-0700"} }

// parseKey reads a line USER:KEY or USER:KEY google-ssh {"userName":…,"expireOn":…}. It returns false for what the agent ignores.
func parseKey(line string) (sshKey, bool) {
	user, public, ok := strings.Cut(strings.TrimSpace(line), ":")
	if !ok || user == "" || public == "" {
		return sshKey{}, false
	}
	k := sshKey{line: line, user: user, public: public}
	before, about, google := strings.Cut(public, " google-ssh ")
	if !google {
		return k, true
	}
	var end struct{ UserName, ExpireOn string }
	if err := json.Unmarshal([]byte(about), &end); err != nil {
		return sshKey{}, false
	}
	k.public = before
	for _, format := range expiryFormats() {
		var err error
		if k.until, err = time.Parse(format, end.ExpireOn); err == nil {
			return k, true
		}
	}
	return sshKey{}, false
}

// keys are the keys that the metadata gives to the instance: its own and those of the project.
func (in *instance) keys() []sshKey {
	if isTrue(first(value(in.metadata, "enable-oslogin"), value(in.server.metadata, "enable-oslogin"))) {
		return nil
	}
	text := value(in.metadata, "ssh-keys")
	if !isTrue(value(in.metadata, "block-project-ssh-keys")) {
		text += "\n" + value(in.server.metadata, "ssh-keys")
	}
	var list []sshKey
	for line := range strings.Lines(text) {
		if k, ok := parseKey(strings.TrimSpace(line)); ok {
			list = append(list, k)
		}
	}
	return list
}

func isTrue(text string) bool {
	return strings.EqualFold(text, "true") || text == "1" || strings.EqualFold(text, "y")
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// user is the only user of the machine.
func (in *instance) user() string {
	if u := in.group.cfg.User; u != "" {
		return u
	}
	for _, k := range in.keys() {
		return k.user
	}
	return "taskscaler"
}

// readMetadata is what the agent in the machine does with the metadata. Keys that are not there any more stay valid in the machine until it stops.
func (in *instance) readMetadata() {
	in.setPasswords()
	if in.machine == nil || in.status != running && in.status != stopping {
		return
	}
	if isTrue(first(value(in.metadata, "enable-guest-attributes"), value(in.server.metadata, "enable-guest-attributes"))) {
		if kind, rest, ok := strings.Cut(in.machine.HostKey(), " "); ok {
			in.attrs["hostkeys/"+kind], _, _ = strings.Cut(strings.TrimSpace(rest), " ")
		}
	}
	for _, k := range in.keys() {
		if in.known[k.line] || !k.until.IsZero() && !in.server.now().Before(k.until) {
			continue
		}
		if err := in.machine.Authorize(k.user, k.public, k.until); err != nil {
			in.server.cfg.Log.Warn("the agent ignores a key", "instance", in.name, "error", err)
			continue
		}
		in.known[k.line] = true
	}
}

// changeMetadata replaces the metadata. The agent sees it a moment later.
func (in *instance) changeMetadata(to *computepb.Metadata, at time.Duration) {
	in.metadata = &computepb.Metadata{Items: to.GetItems()}
	in.agentAt = at + in.server.cfg.Agent
}

// The limits of metadata.
const (
	maxValue = 256 << 10
	maxTotal = 512 << 10
)

// checkMetadata checks new metadata, and its fingerprint against the old one's.
func checkMetadata(old, to *computepb.Metadata) *apiError {
	seen, total := map[string]bool{}, 0
	for i, item := range to.GetItems() {
		key, n := item.GetKey(), len(item.GetValue())
		total += len(key) + n
		switch {
		case seen[key]:
			return invalid("Invalid value for field 'resource.items': ''. Metadata has duplicate keys: %s", key)
		case n > maxValue:
			return invalid("Value for field 'resource.items[%d].value' is too large: maximum size %d character(s); actual size %d.", i, maxValue, n)
		case total > maxTotal:
			return invalid("Metadata has too many bytes: the maximum is %d.", maxTotal)
		}
		seen[key] = true
	}
	if to.GetFingerprint() != fingerprint(old) {
		return refuse(412, "conditionNotMet", "Supplied fingerprint does not match current metadata fingerprint.")
	}
	return nil
}

// fingerprint is a hash of metadata.
func fingerprint(m *computepb.Metadata) string {
	h := ""
	for _, item := range m.GetItems() {
		h += fmt.Sprintf("%q=%q ", item.GetKey(), item.GetValue())
	}
	return fingerprintOf(hash(h))
}

func fingerprintOf(n uint64) string {
	var b [8]byte
	for i := range b {
		b[i] = byte(n >> (8 * i)) //nolint:gosec // the lowest byte
	}
	return base64.URLEncoding.EncodeToString(b[:])
}

func setMetadata(c *call, r *computepb.SetMetadataInstanceRequest) (*computepb.Operation, error) {
	in, fault := c.instance()
	if fault != nil {
		return nil, fault
	}
	if len(in.template.GetProperties().GetServiceAccounts()) > 0 {
		if fault := c.authorize([]string{"iam.serviceAccounts.actAs"}); fault != nil {
			return nil, fault
		}
	}
	if fault := checkMetadata(in.metadata, r.GetMetadataResource()); fault != nil {
		return nil, fault
	}
	in.changeMetadata(r.GetMetadataResource(), c.elapsed())
	return c.done(in.path(), in.id)
}

func getGuestAttributes(c *call, r *computepb.GetGuestAttributesInstanceRequest) (*computepb.GuestAttributes, error) {
	in, fault := c.instance()
	if fault != nil {
		return nil, fault
	}
	if !isTrue(first(value(in.metadata, "enable-guest-attributes"), value(c.metadata, "enable-guest-attributes"))) {
		return nil, refuse(412, "conditionNotMet", "Guest attributes endpoint access is disabled.")
	}
	query := first(r.GetQueryPath(), r.GetVariableKey())
	out := &computepb.GuestAttributes{
		Kind: proto.String("compute#guestAttributes"), SelfLink: proto.String(c.link(in.path() + "/guestAttributes/" + query)), QueryPath: &query,
		QueryValue: &computepb.GuestAttributesValue{},
	}
	for _, key := range sortedKeys(in.attrs) {
		namespace, name, _ := strings.Cut(key, "/")
		if query == "" || key == query || strings.TrimSuffix(query, "/") == namespace {
			out.QueryValue.Items = append(out.QueryValue.Items, &computepb.GuestAttributesEntry{Namespace: &namespace, Key: &name, Value: proto.String(in.attrs[key])})
		}
	}
	if len(out.QueryValue.Items) == 0 {
		return nil, refuse(404, "notFound", "The resource '%s' of type 'Guest Attribute' was not found.", query)
	}
	return out, nil
}
