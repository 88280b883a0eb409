package gcetest

import (
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

// The current actions of members that this server uses.
const (
	none       = "NONE"
	creating   = "CREATING"
	recreating = "RECREATING"
	deleting   = "DELETING"
	abandoning = "ABANDONING"
	verifying  = "VERIFYING"
	once       = "CREATING_WITHOUT_RETRIES"
)

// member is a managed instance: a name, which has an instance most of the time.
type member struct {
	group   *group
	zone    *zone
	name    string
	created time.Duration
	in      *instance // nil: it does not exist yet, or not any more
	action  string
	due     time.Duration   // when the group acts next
	asked   bool            // the cloud deletes the instance
	sick    bool            // the group has seen that it must repair
	wait    time.Duration   // after the last failed create
	fault   *OperationFault // of the last create
	left    bool            // it is no member any more

	lastID    uint64 // of the last instance
	lastStamp time.Duration
}

// act begins an action.
func (m *member) act(action string, due time.Duration) {
	m.action, m.due, m.sick = action, due, false
	if action == creating && m.group.cfg.NoRetries {
		m.action = once
	}
}

// worth orders members: those with the lowest are deleted first when the group shrinks.
func (m *member) worth() int {
	switch {
	case m.in == nil:
		return 0
	case m.in.status != running:
		return 1
	}
	return 2
}

// wantsInstance reports whether an instance must be created.
func (m *member) wantsInstance() bool {
	return m.in == nil && (m.action == creating || m.action == once || m.action == recreating)
}

// notice looks at what became of the instance.
func (m *member) notice(at time.Duration) {
	if m.in == nil {
		return
	}
	ended := m.in.status == gone || m.in.status == terminated
	switch m.action {
	case creating, once, recreating:
		m.noticeNew(at, ended)
	case deleting:
		if ended {
			m.leave()
		}
	case none, verifying:
		switch {
		case m.in.ends() && !m.sick:
			if m.sick = m.in.ending == deleted || m.in.status == gone || m.repairs(); m.sick {
				m.due = at + m.group.cfg.Reaction
			}
		case m.action == verifying && m.due == cloudmodel.Never:
			m.due = m.in.ran + m.group.cfg.Verify
		}
	}
}

// noticeNew looks at an instance that is being created, or deleted in order to be created again.
func (m *member) noticeNew(at time.Duration, ended bool) {
	switch {
	case ended && m.action == once:
		m.group.target--
		m.leave()
	case ended:
		m.in.drop()
		m.in, m.asked, m.due = nil, false, at
	case m.in.status == running && !m.asked && m.due == cloudmodel.Never:
		m.fault, m.wait = nil, 0
		m.act(none, cloudmodel.Never)
		if m.group.cfg.Autohealing && m.group.cfg.Verify > 0 {
			m.act(verifying, m.in.ran+m.group.cfg.Verify)
		}
	case m.in.broken && !m.asked:
		m.due = min(m.due, at)
	}
}

// repairs reports whether the group creates instances again that stopped.
func (m *member) repairs() bool {
	return m.group.spec.GetInstanceLifecyclePolicy().GetDefaultActionOnFailure() != "DO_NOTHING"
}

// step does what is due.
func (m *member) step(at time.Duration) {
	switch m.action {
	case deleting:
		if m.in == nil {
			m.leave()
			return
		}
		m.remove(at)
	case abandoning:
		if m.in != nil {
			m.in.member = nil
			m.group.server.orphans = append(m.group.server.orphans, m.in)
			m.in = nil
		}
		m.leave()
	case recreating, creating, once:
		if m.in != nil {
			m.remove(at)
		}
	case verifying, none:
		if m.sick {
			m.repair(at)
			return
		}
		m.act(none, cloudmodel.Never)
	}
}

// repair begins to create the instance again, because it stops, stopped or was deleted by somebody else.
func (m *member) repair(at time.Duration) {
	why := "is " + m.in.status
	if m.in.status == gone {
		why = "it doesn't exist"
	}
	m.in.record(repairKind, "Instance eligible for repair: instance should be RUNNING, but "+why+".")
	m.act(recreating, cloudmodel.Never)
	m.asked = true // it ends by itself
	m.notice(at)
}

// remove lets the cloud delete the instance. A refused one is tried again later.
func (m *member) remove(at time.Duration) {
	m.due = cloudmodel.Never
	if m.asked {
		return
	}
	if err := m.in.stop(nil, at); err != nil {
		m.due = at + m.group.cfg.Retry
		return
	}
	m.asked = true
}

// leave ends the membership.
func (m *member) leave() {
	m.left, m.due = true, cloudmodel.Never
	if m.in != nil {
		m.in.drop()
	}
}
