package taskscaler

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/record"
	"github.com/taskscaler/taskscaler/pkg/statestore"
)

// secret is the connect info of one instance. The core never sees it.
type secret struct {
	id     record.ID
	serial uint64
	info   provider.ConnectInfo
	stored []byte // the value for the store; nil: the store is not changed

	failed      int  // consecutive failures to renew it that say something about the instance
	unreachable bool // the latest question for it failed
}

// Format implements fmt.Formatter, so that no fmt verb prints the secret.
func (s secret) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "connect info of "+string(s.id))
}

func (s *secret) copyInfo() provider.ConnectInfo {
	info := s.info
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
	all map[record.ID]secret
}

func (v *vault) get(id record.ID) (secret, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	s, ok := v.all[id]
	return s, ok
}

func (v *vault) set(s secret) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s.stored = nil
	v.all[s.id] = s
}

// renew replaces the connect info of an instance that it still has, and reports whether the instance was unreachable before. A late answer never
// replaces that of another instance with the same ID.
func (v *vault) renew(s secret) (back bool) {
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
type storedInfo struct {
	Serial         uint64               `json:"serial"`
	Info           provider.ConnectInfo `json:"info"`
	StaticPassword bool                 `json:"static_password,omitempty"`
	StaticKey      bool                 `json:"static_key,omitempty"`
}

func encodeInfo(serial uint64, info provider.ConnectInfo, own *provider.ConnectorConfig) ([]byte, error) {
	s := storedInfo{Serial: serial, Info: info}
	if info.Password != "" && info.Password == own.Password {
		s.StaticPassword, s.Info.Password = true, ""
	}
	if len(info.Key) > 0 && bytes.Equal(info.Key, own.Key) {
		s.StaticKey, s.Info.Key = true, nil
	}
	return json.Marshal(s)
}

// openVault reads the connect info of the instances in snap.
func openVault(snap *statestore.Snapshot, own *provider.ConnectorConfig) (*vault, error) {
	v := &vault{all: make(map[record.ID]secret, len(snap.Secrets))}
	for i := range snap.State.Instances {
		rec := &snap.State.Instances[i]
		value, ok := snap.Secrets[rec.ID]
		if !ok {
			continue
		}
		var s storedInfo
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
		v.all[rec.ID] = secret{id: rec.ID, serial: rec.Serial, info: s.Info}
	}
	return v, nil
}
