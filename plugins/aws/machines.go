package aws

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2instanceconnect"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// ec2API is what EC2 is asked about instances. An *ec2.Client has it.
type ec2API interface {
	DescribeInstances(context.Context, *ec2.DescribeInstancesInput, ...func(*ec2.Options)) (*ec2.DescribeInstancesOutput, error)
	DescribeInstanceStatus(context.Context, *ec2.DescribeInstanceStatusInput, ...func(*ec2.Options)) (*ec2.DescribeInstanceStatusOutput, error)
	DescribeImages(context.Context, *ec2.DescribeImagesInput, ...func(*ec2.Options)) (*ec2.DescribeImagesOutput, error)
	DescribeSpotInstanceRequests(context.Context, *ec2.DescribeSpotInstanceRequestsInput, ...func(*ec2.Options)) (*ec2.DescribeSpotInstanceRequestsOutput, error)
	GetPasswordData(context.Context, *ec2.GetPasswordDataInput, ...func(*ec2.Options)) (*ec2.GetPasswordDataOutput, error)
}

// pusher pushes a key to an instance. An *ec2instanceconnect.Client has it.
type pusher interface {
	SendSSHPublicKey(context.Context, *ec2instanceconnect.SendSSHPublicKeyInput, ...func(*ec2instanceconnect.Options)) (*ec2instanceconnect.SendSSHPublicKeyOutput, error)
}

// machines is what EC2 knows about the instances of the group.
type machines struct {
	group    string // name of the Auto Scaling group
	ipv6     bool   // the external address is the IPv6 address
	ahead    bool   // keys are pushed ahead of need
	settings secret.Value[provider.Settings]
	login    login
	ec2      ec2API
	connect  pusher
	now      func() time.Time
	good     freshness                      // zero: as in prepare; tests shorten it
	warn     func(text string, args ...any) // logs a sentence once

	stop      context.CancelFunc
	described *batcher[details]
	checked   *batcher[status]
	pushed    *batcher[time.Time] // when the key was pushed
	images    *batcher[image]

	mu       sync.Mutex           // guards the fields below
	members  map[string]member    // the latest list
	details  map[string]details   // of members
	statuses map[string]status    // of members
	pushes   map[string]time.Time // when a member got the key
	windows  map[string]password  // of members that run Windows
	marked   map[string]bool      // members that AWS has announced to take away
	spotNext time.Time            // before which spot requests are not read
	beatNext time.Time            // before which status checks are not read, because it is not allowed
	known    map[string]image     // by id
}

// freshness is for how long what is known is believed.
type freshness struct {
	details, status time.Duration
	rest, again     time.Duration // a pushed key: see connect.go
	password        time.Duration // that there is none: see windows.go
}

// newMachines checks the keys and prepares what asks about instances.
func (g *InstanceGroup) newMachines(ctx context.Context, found group) (*machines, error) {
	m := &machines{
		group: g.Name, ipv6: g.UseIPv6, ahead: g.PushAhead, settings: g.settings, ec2: g.api.ec2, connect: g.api.connect, now: g.now, good: g.good, warn: g.warnOnce,
	}
	if err := m.prepare(found.Instances); err != nil {
		return nil, err
	}
	if err := m.mayDescribe(ctx); err != nil {
		m.close()
		return nil, err
	}
	if err := m.checkImage(ctx, g.api.ec2, found); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// mayDescribe returns an error if EC2 does not let us describe instances: then no machine could ever be used.
func (m *machines) mayDescribe(ctx context.Context) error {
	_, err := m.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{
		Filters: []ec2types.Filter{{Name: aws.String("tag:" + groupTag), Values: []string{m.group}}}, MaxResults: aws.Int32(5),
	})
	return classify(err)
}

// prepare checks the keys, and makes it ready for questions.
func (m *machines) prepare(list []member) (err error) {
	m.good = freshness{
		details: cmp.Or(m.good.details, detailsGood), status: cmp.Or(m.good.status, statusGood), rest: cmp.Or(m.good.rest, atRest), again: cmp.Or(m.good.again, pushAgain),
		password: cmp.Or(m.good.password, passwordFirst),
	}
	if m.login, err = newLogin(m.settings.Reveal()); err != nil {
		return err
	}
	var ctx context.Context
	ctx, m.stop = context.WithCancel(context.Background())
	m.described, m.checked = newBatcher(ctx, maxBatch, m.askDetails), newBatcher(ctx, maxBatch, m.askStatus)
	m.pushed, m.images = newBatcher(ctx, 1, m.push), newBatcher(ctx, 1, m.askImage)
	m.details, m.statuses, m.pushes = map[string]details{}, map[string]status{}, map[string]time.Time{}
	m.windows, m.marked, m.known = map[string]password{}, map[string]bool{}, map[string]image{}
	m.members = byID(list)
	return nil
}

// close ends the calls that are under way, and their goroutines.
func (m *machines) close() {
	if m == nil { // Init failed
		return
	}
	m.stop()
	m.described.wait()
	m.checked.wait()
	m.pushed.wait()
	m.images.wait()
}

// see takes a new list: what is known of other instances is forgotten, and new ones are asked about in the background, many in one call. So their details are
// there when they are asked for.
func (m *machines) see(list []member) {
	m.mu.Lock()
	m.members = byID(list)
	keepMembers(m.details, m.members)
	keepMembers(m.statuses, m.members)
	keepMembers(m.pushes, m.members)
	keepMembers(m.windows, m.members)
	keepMembers(m.marked, m.members)
	var fresh []string
	for id, i := range m.members {
		if _, ok := m.details[id]; !ok && i.LifecycleState == types.LifecycleStateInService {
			fresh = append(fresh, id)
		}
	}
	m.mu.Unlock()
	m.described.want(fresh...)
}

// listed reports whether the latest list has an instance that is not on its way out.
func (m *machines) listed(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, ok := m.members[id]
	return ok && !ending(i)
}

func byID(list []member) map[string]member {
	all := make(map[string]member, len(list))
	for _, i := range list {
		all[aws.ToString(i.InstanceId)] = i
	}
	return all
}

// keepMembers forgets what is known of instances that the list lacks.
func keepMembers[T any](of map[string]T, members map[string]member) {
	for id := range of {
		if _, ok := members[id]; !ok {
			delete(of, id)
		}
	}
}
