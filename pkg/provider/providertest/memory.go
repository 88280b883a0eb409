package providertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// Memory is a reference InstanceGroup. Its machines are entries of a table. If File is set, all groups with that file share the table,
// and it outlives the process, like a cloud. The exported fields are its plugin_config. The zero value is ready to use.
type Memory struct {
	Group     string      `json:"group"`          // ProviderInfo.ID is "memory/<group>"
	MaxSize   int         `json:"max_size"`       // the most machines; 0: 100
	BootMS    int         `json:"boot_ms"`        // milliseconds from creating to running
	DeleteMS  int         `json:"delete_ms"`      // milliseconds from deleting to gone
	File      string      `json:"file,omitempty"` // the file that keeps the table; empty: the table is in this value
	Password  secret.Text `json:"password"`       // the password of the machines, if the operator sets none
	Populated int         `json:"populated"`      // how many machines a new table has

	mu       sync.Mutex
	settings secret.Value[provider.Settings]
	log      hclog.Logger
	table    memoryTable
	stored   []byte // what the file holds
}

type memoryTable struct {
	Next     int                      `json:"next"`
	Machines map[string]memoryMachine `json:"machines"`
}

type memoryMachine struct {
	State provider.State `json:"state"`
	Since time.Time      `json:"since"`
	Sick  bool           `json:"sick,omitempty"`
}

var (
	_ provider.InstanceGroup = (*Memory)(nil)
	_ provider.Heartbeater   = (*Memory)(nil)
	_ provider.Suspender     = (*Memory)(nil)
)

// Init implements provider.InstanceGroup.
func (m *Memory) Init(ctx context.Context, log hclog.Logger, settings provider.Settings) (provider.ProviderInfo, error) {
	if m.MaxSize < 0 || m.BootMS < 0 || m.DeleteMS < 0 || m.Populated < 0 {
		return provider.ProviderInfo{}, provider.Errorf(provider.KindConfig, "max_size, boot_ms, delete_ms and populated cannot be negative")
	}
	if m.MaxSize == 0 {
		m.MaxSize = 100
	}
	m.settings, m.log = secret.Hide(settings), log
	err := m.change(ctx, func(time.Time) error { return nil })
	return provider.ProviderInfo{ID: "memory/" + m.Group, MaxSize: m.MaxSize, Version: "1", BuildInfo: "reference"}, err
}

// Update implements provider.InstanceGroup.
func (m *Memory) Update(ctx context.Context, update func(id string, state provider.State)) error {
	var table memoryTable
	err := m.change(ctx, func(time.Time) error {
		table.Machines = maps.Clone(m.table.Machines)
		return nil
	})
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(table.Machines)) {
		update(id, table.Machines[id].State)
	}
	return ctx.Err()
}

// Increase implements provider.InstanceGroup.
func (m *Memory) Increase(ctx context.Context, delta int) (int, error) {
	n := 0
	err := m.change(ctx, func(now time.Time) error {
		for ; n < delta; n++ {
			if len(m.table.Machines) >= m.MaxSize {
				return provider.Errorf(provider.KindQuota, "the group has %d machines, which is its max_size", m.MaxSize)
			}
			m.table.Machines[fmt.Sprintf("m-%04d", m.table.Next)] = memoryMachine{State: provider.StateCreating, Since: now}
			m.table.Next++
		}
		return nil
	})
	return n, err
}

// Decrease implements provider.InstanceGroup.
func (m *Memory) Decrease(ctx context.Context, ids []string) ([]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var accepted []string
	err := m.change(ctx, func(now time.Time) error {
		for _, id := range ids {
			if machine, ok := m.table.Machines[id]; ok && machine.State != provider.StateDeleting {
				m.table.Machines[id] = memoryMachine{State: provider.StateDeleting, Since: now}
			}
			accepted = append(accepted, id)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return accepted, nil
}

// ConnectInfo implements provider.InstanceGroup.
func (m *Memory) ConnectInfo(ctx context.Context, id string) (provider.ConnectInfo, error) {
	machine, err := m.machine(ctx, id)
	if err != nil {
		return provider.ConnectInfo{}, err
	}
	if machine.State != provider.StateRunning {
		return provider.ConnectInfo{}, fmt.Errorf("machine %s is %s", id, machine.State)
	}
	info := provider.ConnectInfo{
		ConnectorConfig: m.settings.Reveal().ConnectorConfig, ID: id, ExternalAddr: "203.0.113.1", InternalAddr: "10.0.0.1",
	}
	fill(&info.OS, "linux")
	fill(&info.Arch, "amd64")
	fill(&info.Username, "memory")
	fill(&info.Password, m.Password.Reveal())
	fill(&info.Protocol, provider.ProtocolSSH)
	if info.ProtocolPort == 0 {
		info.ProtocolPort = provider.DefaultProtocolPort(info.Protocol)
	}
	return info, nil
}

func fill[S ~string](field *S, value S) {
	if *field == "" {
		*field = value
	}
}

// Heartbeat implements provider.Heartbeater.
func (m *Memory) Heartbeat(ctx context.Context, id string) error {
	machine, err := m.machine(ctx, id)
	if err != nil {
		return err
	}
	if machine.Sick {
		return &provider.Error{Kind: provider.KindUnhealthy, Err: provider.ErrInstanceUnhealthy}
	}
	return nil
}

// Suspend implements provider.Suspender.
func (m *Memory) Suspend(ctx context.Context, ids []string) ([]string, error) {
	return m.move(ctx, ids, provider.StateRunning, provider.StateSuspended)
}

// Resume implements provider.Suspender.
func (m *Memory) Resume(ctx context.Context, ids []string) ([]string, error) {
	return m.move(ctx, ids, provider.StateSuspended, provider.StateRunning)
}

// Shutdown implements provider.InstanceGroup.
func (m *Memory) Shutdown(context.Context) error { return nil }

// Sicken makes a machine unhealthy: from now on its Heartbeat fails with KindUnhealthy.
func (m *Memory) Sicken(ctx context.Context, id string) error {
	return m.change(ctx, func(time.Time) error {
		machine, ok := m.table.Machines[id]
		if !ok {
			return unknownMachine(id)
		}
		machine.Sick = true
		m.table.Machines[id] = machine
		return nil
	})
}

func (m *Memory) move(ctx context.Context, ids []string, from, to provider.State) ([]string, error) {
	var done []string
	err := m.change(ctx, func(now time.Time) error {
		for _, id := range ids {
			switch machine, ok := m.table.Machines[id]; {
			case !ok:
				return unknownMachine(id)
			case machine.State == from:
				m.table.Machines[id] = memoryMachine{State: to, Since: now}
			case machine.State != to:
				return fmt.Errorf("machine %s is %s", id, machine.State)
			}
			done = append(done, id)
		}
		return nil
	})
	return done, err
}

func unknownMachine(id string) error {
	return provider.Errorf(provider.KindNotFound, "there is no machine %q", id)
}

func (m *Memory) machine(ctx context.Context, id string) (memoryMachine, error) {
	var machine memoryMachine
	err := m.change(ctx, func(time.Time) error {
		var ok bool
		if machine, ok = m.table.Machines[id]; !ok {
			return unknownMachine(id)
		}
		return nil
	})
	return machine, err
}

// change reads the table, moves machines to the state that is due (running, gone), calls f and saves the table, even after an error of f.
func (m *Memory) change(ctx context.Context, f func(now time.Time) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.load(); err != nil {
		return err
	}
	now := time.Now()
	for id, machine := range m.table.Machines {
		age := now.Sub(machine.Since)
		switch {
		case machine.State == provider.StateCreating && age >= time.Duration(m.BootMS)*time.Millisecond:
			m.table.Machines[id] = memoryMachine{State: provider.StateRunning, Since: now}
		case machine.State == provider.StateDeleting && age >= time.Duration(m.DeleteMS)*time.Millisecond:
			delete(m.table.Machines, id)
		}
	}
	return errors.Join(f(now), m.save())
}

func (m *Memory) load() error {
	if m.File == "" && m.table.Machines != nil {
		return nil
	}
	raw, err := os.ReadFile(m.File)
	switch {
	case m.File == "" || errors.Is(err, fs.ErrNotExist):
		m.table = memoryTable{Machines: map[string]memoryMachine{}}
		for ; m.table.Next < m.Populated; m.table.Next++ {
			m.table.Machines[fmt.Sprintf("m-%04d", m.table.Next)] = memoryMachine{State: provider.StateRunning}
		}
		return nil
	case err != nil:
		return fmt.Errorf("reading the table: %w", err)
	}
	m.table, m.stored = memoryTable{}, raw
	if err := json.Unmarshal(raw, &m.table); err != nil {
		return fmt.Errorf("reading the table %s: %w", m.File, err)
	}
	return nil
}

// save writes a new file and renames it over the old one, so that a reader sees one of the two as a whole.
func (m *Memory) save() error {
	if m.File == "" {
		return nil
	}
	raw, err := json.Marshal(m.table)
	if err != nil {
		return err
	}
	if bytes.Equal(raw, m.stored) {
		return nil
	}
	if err := os.WriteFile(m.File+".new", raw, 0o600); err != nil {
		return fmt.Errorf("writing the table: %w", err)
	}
	return os.Rename(m.File+".new", m.File)
}
