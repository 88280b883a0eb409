package aws

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

const (
	detailsGood = 20 * time.Second            // for how long details are believed: a public address can change
	groupTag    = "aws:autoscaling:groupName" // the tag that Auto Scaling sets on the instances of a group
)

// details are what EC2 says about an instance.
type details struct {
	read                  time.Time
	state                 types.InstanceStateName
	private, public, ipv6 string // addresses
	os, arch              string // in Go's words; "": unknown
	image, key            string // id of its image, and the name of its key pair
	spot                  bool
	group                 string // its Auto Scaling group
}

// describe returns the details of an instance of the group that runs, which are at most detailsGood old.
func (m *machines) describe(ctx context.Context, id string) (details, error) {
	d, ok := m.recall(id)
	if !ok || m.now().Sub(d.read) > m.good.details || d.state != types.InstanceStateNameRunning {
		m.described.want(m.withOthers(id)...)
		var err error
		switch d, ok, err = m.described.get(ctx, id); {
		case err != nil:
			return details{}, err
		case !ok:
			return details{}, m.missing(id)
		}
	}
	if d.group != m.group && !m.listed(id) {
		return details{}, unknown(id)
	}
	if err := usable(id, d.state); err != nil {
		return details{}, err
	}
	if d.os == "" || d.arch == "" {
		known, err := m.imageOf(ctx, d.image)
		if err != nil {
			return details{}, err
		}
		d.os, d.arch = cmp.Or(d.os, known.os, "linux"), cmp.Or(d.arch, known.arch)
	}
	return d, nil
}

// withOthers returns the id, and members whose details are old: as many as one call takes. So the calls of a busy fleet do not grow with its jobs.
func (m *machines) withOthers(id string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	ids, now := []string{id}, m.now()
	for other, d := range m.details {
		if len(ids) == maxBatch {
			break
		}
		if other != id && now.Sub(d.read) > m.good.details/2 {
			ids = append(ids, other)
		}
	}
	return ids
}

// missing is the error for an instance that EC2 does not know. EC2 shows a new instance a moment later than its group does.
func (m *machines) missing(id string) error {
	if m.listed(id) {
		return provider.Errorf(provider.KindTransient, "EC2 does not know instance %s yet, which the Auto Scaling group has", id)
	}
	return unknown(id)
}

// usable returns the reason if an instance cannot be used in its state.
func usable(id string, state types.InstanceStateName) error {
	switch state {
	case types.InstanceStateNameRunning:
		return nil
	case types.InstanceStateNameTerminated, types.InstanceStateNameShuttingDown:
		return provider.Errorf(provider.KindNotFound, "instance %s is %s", id, words(state))
	case types.InstanceStateNameStopped, types.InstanceStateNameStopping:
		return provider.Errorf(provider.KindUnhealthy, "instance %s is %s", id, words(state))
	}
	return provider.Errorf(provider.KindTransient, "instance %s does not run yet, its state is %s", id, words(state))
}

// words returns a word of AWS for people.
func words[T ~string](word T) string {
	return strings.ReplaceAll(cmp.Or(string(word), "unknown"), "-", " ")
}

// recall returns the details that are known.
func (m *machines) recall(id string) (details, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, ok := m.details[id]
	return d, ok
}

// askDetails asks EC2, and keeps what it says about members.
func (m *machines) askDetails(ctx context.Context, ids []string) (map[string]details, error) {
	now := m.now()
	out, err := m.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: ids})
	if err != nil {
		return nil, classify(err)
	}
	found := map[string]details{}
	for _, r := range out.Reservations {
		for _, i := range r.Instances {
			found[aws.ToString(i.InstanceId)] = detailsOf(i, now)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, d := range found {
		if _, ok := m.members[id]; ok {
			m.details[id] = d
		}
	}
	return found, nil
}

func detailsOf(i types.Instance, now time.Time) details {
	d := details{
		read: now, private: aws.ToString(i.PrivateIpAddress), public: aws.ToString(i.PublicIpAddress), ipv6: aws.ToString(i.Ipv6Address),
		image: aws.ToString(i.ImageId), key: aws.ToString(i.KeyName), spot: i.InstanceLifecycle == types.InstanceLifecycleTypeSpot,
	}
	d.os, d.arch = platform(string(i.Platform), aws.ToString(i.PlatformDetails), i.Architecture)
	if i.State != nil {
		d.state = i.State.Name
	}
	if d.ipv6 == "" {
		for _, n := range i.NetworkInterfaces {
			for _, a := range n.Ipv6Addresses {
				d.ipv6 = cmp.Or(d.ipv6, aws.ToString(a.Ipv6Address))
			}
		}
	}
	if at := slices.IndexFunc(i.Tags, func(t types.Tag) bool { return aws.ToString(t.Key) == groupTag }); at >= 0 {
		d.group = aws.ToString(i.Tags[at].Value)
	}
	return d
}

// platform returns the operating system and the architecture in Go's words, or "" where AWS does not say.
func platform(short, long string, arch types.ArchitectureValues) (goos, goarch string) {
	switch arch {
	case types.ArchitectureValuesX8664, types.ArchitectureValuesX8664Mac:
		goarch = "amd64"
	case types.ArchitectureValuesArm64, types.ArchitectureValuesArm64Mac:
		goarch = "arm64"
	case types.ArchitectureValuesI386:
		goarch = "386"
	}
	switch {
	case strings.EqualFold(short, "windows"), strings.HasPrefix(long, "Windows"):
		goos = "windows"
	case strings.HasSuffix(string(arch), "_mac"):
		goos = "darwin"
	case long != "":
		goos = "linux"
	}
	return goos, goarch
}

// image is what an image says about its machines.
type image struct{ os, arch string }

// imageOf describes an image, each one once. An image that is gone, or may not be described, says nothing.
func (m *machines) imageOf(ctx context.Context, id string) (image, error) {
	m.mu.Lock()
	known, ok := m.known[id]
	m.mu.Unlock()
	if ok || id == "" {
		return known, nil
	}
	known, _, err := m.images.get(ctx, id)
	return known, err
}

// askImage describes one image, and keeps the answer.
func (m *machines) askImage(ctx context.Context, ids []string) (map[string]image, error) {
	out, err := m.ec2.DescribeImages(ctx, &ec2.DescribeImagesInput{ImageIds: ids})
	if err = classify(err); err != nil && provider.KindOf(err) != provider.KindConfig {
		return nil, err
	}
	if err != nil { // it will not be answered later either
		m.warn("an image cannot be described, so its machines are taken for Linux: set os and arch of connector_config", "image", ids[0], "error", err)
		out = &ec2.DescribeImagesOutput{}
	}
	found := map[string]image{}
	for _, i := range out.Images {
		var known image
		known.os, known.arch = platform(string(i.Platform), aws.ToString(i.PlatformDetails), i.Architecture)
		found[aws.ToString(i.ImageId)] = known
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		m.known[id] = found[id]
	}
	return found, nil
}
