package fake

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
	"github.com/taskscaler/taskscaler/pkg/plugin"
	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
	"github.com/taskscaler/taskscaler/plugins/fake/record"
)

// Names of files; see the package comment.
const (
	groupFile     = "group.json"
	lockFile      = "lock"
	specFile      = "spec.json"
	secretFile    = "secret.json"
	readyFile     = "ready.json"
	deletingFile  = "deleting.json"
	unhealthyFile = "unhealthy"
	recordFile    = "record.jsonl"
	logFile       = "log"
	workFolder    = "work"
	halfMade      = ".new-"  // prefix of a folder that is being created
	halfGone      = ".gone-" // prefix of a folder that is being removed

	defaultParent = ".taskscaler-fake"
)

// spec is the description of an instance for its process. It never changes.
type spec struct {
	ID        string          `json:"id"`
	Number    uint64          `json:"number"`
	Created   time.Time       `json:"created"`
	Fate      cloudmodel.Fate `json:"fate"`
	LifeLimit time.Duration   `json:"life_limit"`
	Record    string          `json:"record"` // path of its record; in its own folder unless record_dir is set
	Access    access          `json:"access"`
}

// access says who may log in. It holds no secret.
type access struct {
	Username  string         `json:"username"`
	Passwords []passwordHash `json:"passwords,omitempty"`
	Keys      []string       `json:"keys,omitempty"` // public, in authorized_keys format
}

// passwordHash is a salted password.
type passwordHash struct {
	Salt []byte `json:"salt"`
	Hash []byte `json:"hash"`
}

func hashPassword(password string) passwordHash {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	return passwordHash{Salt: salt, Hash: saltedHash(salt, password)}
}

func saltedHash(salt []byte, password string) []byte {
	h := hmac.New(sha256.New, salt)
	h.Write([]byte(password))
	return h.Sum(nil)
}

func (p passwordHash) matches(password string) bool {
	return subtle.ConstantTimeCompare(p.Hash, saltedHash(p.Salt, password)) == 1
}

// login holds the credentials that were made for an instance.
type login struct {
	Username string      `json:"username"`
	Key      secret.Text `json:"key"`      // a private key
	Password secret.Text `json:"password"` // in place of a key: an earlier release made the instance
}

// reveal returns the content of secretFile.
func (l login) reveal() map[string]string {
	return map[string]string{"username": l.Username, "key": l.Key.Reveal()}
}

// use fills in what the operator has not set.
func (l login) use(c *provider.ConnectorConfig) {
	fill(&c.Username, l.Username)
	if !(plugin.Key{Private: l.Key}).Use(c) && len(c.Key) == 0 {
		fill(&c.Password, l.Password.Reveal())
	}
}

// readiness says how to connect to an instance.
type readiness struct {
	Address string `json:"address"`
	HostKey string `json:"host_key"` // authorized_keys format
}

// deletion is the order to end the instance.
type deletion struct {
	Asked time.Time `json:"asked"`
	Until time.Time `json:"until"` // when it is gone
}

// runsAt returns when the instance serves SSH. ok is false if its boot fails.
func (s *spec) runsAt() (at time.Time, ok bool) {
	return later(s.Created, s.Fate.Boot), s.Fate.Boot != cloudmodel.Never
}

// end returns when the instance is gone if it is not deleted before, and with which event.
func (s *spec) end() (at time.Time, as record.Event) {
	at, as = later(s.Created, s.LifeLimit), record.Expired
	if t := later(s.Created, s.Fate.Vanish); t.Before(at) {
		at, as = t, record.Vanished
	}
	runs, ok := s.runsAt()
	if !ok || s.Fate.Life == cloudmodel.Never {
		return at, as
	}
	if t := later(later(runs, s.Fate.Life), s.Fate.Notice); t.Before(at) {
		at, as = t, record.Vanished
		if s.Fate.Reclaim {
			as = record.Reclaimed
		}
	}
	return at, as
}

// reclaimNotice returns when the instance gets the notice of its reclaim. ok is false if it is not reclaimed, or gets no notice.
func (s *spec) reclaimNotice() (at time.Time, ok bool) {
	runs, ok := s.runsAt()
	if !ok || !s.Fate.Reclaim || s.Fate.Notice <= 0 || s.Fate.Life == cloudmodel.Never {
		return time.Time{}, false
	}
	return later(runs, s.Fate.Life), true
}

// later adds a duration to a time. Never becomes a thousand years.
func later(t time.Time, d time.Duration) time.Time {
	if d == cloudmodel.Never {
		return t.AddDate(1000, 0, 0)
	}
	return t.Add(d)
}

// writeJSON replaces a file as a whole: readers see the old content or the new one.
func writeJSON(path string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", filepath.Base(path), err)
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, append(raw, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// readJSON reads a file into v. found is false if the file does not exist.
func readJSON(path string, v any) (found bool, err error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return false, fmt.Errorf("%s is damaged: %w", path, err)
	}
	return true, nil
}
