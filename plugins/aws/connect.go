package aws

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2instanceconnect"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/provider/pluginkit"
)

// A pushed key lets us in for 60 s. The manager asks for new credentials ahead of the end of those that are good for 30 s and more, also for a machine that
// nobody uses. So ConnectInfo says that a key is good for less, and a fleet at rest costs no calls: the key is pushed when a job needs it. With push_ahead it
// says the whole time.
const (
	keyLife   = 57 * time.Second // for which a login with a pushed key begins in time
	atRest    = 29 * time.Second // for which the manager uses it, without push_ahead
	pushAgain = 25 * time.Second // a key that is good for less is pushed again
)

// linuxUser is the user of Amazon's own images.
const linuxUser = "ec2-user"

// ConnectInfo says how to reach an instance.
func (g *InstanceGroup) ConnectInfo(ctx context.Context, id string) (provider.ConnectInfo, error) {
	return g.machines.connectInfo(ctx, id)
}

func (m *machines) connectInfo(ctx context.Context, id string) (provider.ConnectInfo, error) {
	if !instanceID.MatchString(id) {
		return provider.ConnectInfo{}, unknown(id)
	}
	settings := m.settings.Reveal()
	began := m.now()
	m.pushEarly(id, settings.OS, began)
	d, err := m.describe(ctx, id)
	if err != nil {
		return provider.ConnectInfo{}, err
	}
	found := provider.ConnectInfo{ID: id, InternalAddr: cmp.Or(d.private, d.ipv6), ExternalAddr: d.public} // the second: a subnet without IPv4
	if m.ipv6 {
		found.ExternalAddr = d.ipv6
	}
	if found.InternalAddr == "" && found.ExternalAddr == "" {
		return provider.ConnectInfo{}, provider.Errorf(provider.KindTransient, "instance %s has no address yet", id)
	}
	found.OS, found.Arch, found.Username = d.os, d.arch, linuxUser
	if isWindows(settings.OS, d.os) {
		found.Username = "Administrator"
	}
	info := pluginkit.Connect(settings, found)
	info.Username = cmp.Or(info.Username, found.Username) // with static credentials too: it is no secret of the operator's
	if err := m.letIn(ctx, d, &info, began); err != nil {
		return provider.ConnectInfo{}, err
	}
	return info, nil
}

// isWindows reports whether the first of the systems that is known is Windows.
func isWindows(systems ...string) bool { return strings.EqualFold(cmp.Or(systems...), "windows") }

// letIn makes the instance let us in, and completes info. began is when it was asked for.
func (m *machines) letIn(ctx context.Context, d details, info *provider.ConnectInfo, began time.Time) (err error) {
	if m.login.fixed {
		return nil
	}
	if isWindows(info.OS) {
		info.Password, err = m.passwordOf(ctx, info.ID, d)
		return err
	}
	until, err := m.pushedUntil(ctx, info.ID, began)
	info.Expires = &until
	m.login.key.Use(&info.ConnectorConfig)
	return err
}

// pushEarly begins to push the key while the details of an instance are read, if it is known to need one.
func (m *machines) pushEarly(id, os string, began time.Time) {
	d, _ := m.recall(id)
	if os = cmp.Or(os, d.os); m.login.fixed || os == "" || isWindows(os) || !m.listed(id) {
		return
	}
	if _, good := m.lastPush(id, began); !good {
		m.pushed.want(id)
	}
}

// lastPush returns when the key was pushed to an instance, and whether it is good for long enough. A push since then always is.
func (m *machines) lastPush(id string, since time.Time) (at time.Time, good bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.pushes[id]
	return at, ok && (!at.Before(since) || m.now().Before(at.Add(keyLife-m.good.again)))
}

// pushedUntil returns until when the manager may use the key. It pushes the key if it is not good for long enough.
func (m *machines) pushedUntil(ctx context.Context, id string, began time.Time) (time.Time, error) {
	at, good := m.lastPush(id, began)
	if !good {
		var known bool
		var err error
		switch at, known, err = m.pushed.get(ctx, id); {
		case err != nil:
			return time.Time{}, err
		case !known:
			return time.Time{}, m.missing(id)
		}
	}
	until := at.Add(keyLife)
	if soon := m.now().Add(m.good.rest); !m.ahead && soon.Before(until) {
		until = soon
	}
	return until, nil
}

// push pushes the key to one instance, and returns when that began.
func (m *machines) push(ctx context.Context, ids []string) (map[string]time.Time, error) {
	at, id := m.now(), ids[0]
	_, err := m.connect.SendSSHPublicKey(ctx, &ec2instanceconnect.SendSSHPublicKeyInput{
		InstanceId: aws.String(id), InstanceOSUser: aws.String(cmp.Or(m.settings.Reveal().Username, linuxUser)), SSHPublicKey: aws.String(m.login.key.Public),
	})
	if err != nil {
		return nil, classify(err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.members[id]; ok {
		m.pushes[id] = at
	}
	return map[string]time.Time{id: at}, nil
}
