package taskscaler

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/secret"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// access is the connect info of one instance. The core never sees it.
type access struct {
	id     record.ID
	serial uint64
	info   secret.Value[provider.ConnectInfo]
	stored secret.Value[[]byte] // the value for the store; zero: the store is not changed

	resting     bool // its instance is not used any more, or not yet
	failed      int  // consecutive failures to renew it that say something about the instance
	unreachable bool // the latest question for it failed
}

// config returns the settings with the credentials.
func (s *access) config() *provider.ConnectorConfig {
	info := s.info.Reveal()
	return &info.ConnectorConfig
}

func (s *access) copyInfo() provider.ConnectInfo {
	info := s.info.Reveal()
	info.Key, info.HostKeys = bytes.Clone(info.Key), slices.Clone(info.HostKeys)
	if info.Expires != nil {
		at := *info.Expires
		info.Expires = &at
	}
	return info
}

// vault holds the connect info of every prepared instance. Only the loop writes it when it commits; every goroutine may read it.
type vault struct {
	mu  sync.RWMutex
	all map[record.ID]access
}

func (v *vault) get(id record.ID) (access, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	s, ok := v.all[id]
	return s, ok
}

func (v *vault) set(s access) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s.stored = secret.Value[[]byte]{}
	v.all[s.id] = s
}

// renew replaces the connect info of an instance that it still has, and reports whether the instance was unreachable before. A late answer never
// replaces that of another instance with the same ID.
func (v *vault) renew(s access) (back bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	old, ok := v.all[s.id]
	if !ok || old.serial != s.serial {
		return false
	}
	v.all[s.id] = s
	return old.unreachable
}

// fail records that the connect info of an instance could not be renewed. It returns how many such failures in a row say something about the
// instance (counts: this one does), and whether the instance could be reached before.
func (v *vault) fail(id record.ID, serial uint64, counts bool) (failures int, first bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s, ok := v.all[id]
	if !ok || s.serial != serial {
		return 1, false
	}
	if counts {
		s.failed++
	}
	first, s.unreachable = !s.unreachable, true
	v.all[id] = s
	return s.failed, first
}

func (v *vault) drop(id record.ID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.all, id)
}

// storedInfo is connect info in the store. Credentials from the operator's settings are not stored. They are read from the settings at the
// start, so a changed password also applies to instances that already exist.
//
// Info is a provider.ConnectInfo when it is read. When it is written, it is the ConnectInfo with its secrets in JSON.
type storedInfo[Info provider.ConnectInfo | json.RawMessage] struct {
	Serial         uint64 `json:"serial"`
	Info           Info   `json:"info"`
	StaticPassword bool   `json:"static_password,omitempty"`
	StaticKey      bool   `json:"static_key,omitempty"`
}

func encodeInfo(serial uint64, info provider.ConnectInfo, own *provider.ConnectorConfig) (secret.Value[[]byte], error) {
	s := storedInfo[json.RawMessage]{Serial: serial}
	if info.Password != "" && info.Password == own.Password {
		s.StaticPassword, info.Password = true, ""
	}
	if len(info.Key) > 0 && bytes.Equal(info.Key, own.Key) {
		s.StaticKey, info.Key = true, nil
	}
	var err error
	if s.Info, err = info.RevealJSON(); err != nil {
		return secret.Value[[]byte]{}, err
	}
	raw, err := json.Marshal(s)
	return secret.Hide(raw), err
}

// openVault reads the connect info of the instances in snap.
func openVault(snap *statestore.Snapshot, own *provider.ConnectorConfig) (*vault, error) {
	v := &vault{all: make(map[record.ID]access, len(snap.Secrets))}
	for i := range snap.State.Instances {
		rec := &snap.State.Instances[i]
		value, ok := snap.Secrets[rec.ID]
		if !ok {
			continue
		}
		var s storedInfo[provider.ConnectInfo]
		if err := json.Unmarshal(value, &s); err != nil {
			return nil, fmt.Errorf("the stored connect info of instance %s cannot be read: %w; restore a backup of the state directory, or move it away", rec.ID, err)
		}
		if s.Serial != rec.Serial {
			continue // it belongs to an earlier instance with the same ID
		}
		if s.StaticPassword {
			s.Info.Password = own.Password
		}
		if s.StaticKey {
			s.Info.Key = bytes.Clone(own.Key)
		}
		v.all[rec.ID] = access{id: rec.ID, serial: rec.Serial, info: secret.Hide(s.Info), resting: rec.State != record.Ready && rec.State != record.Draining}
	}
	return v, nil
}
