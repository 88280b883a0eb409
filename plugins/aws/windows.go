package aws

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/taskscaler/taskscaler/pkg/provider"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// Windows makes a password in its first minutes. Until it is there, it is asked for after passwordFirst, then after twice that time, up to passwordLast.
const (
	passwordFirst = 5 * time.Second
	passwordLast  = 30 * time.Second
)

// password is what is known of the password of an instance.
type password struct {
	text  secret.Text   // empty: it is not there yet
	again time.Time     // before which it is not asked for
	pause time.Duration // after the next question without an answer
}

// passwordOf returns the password of an instance with Windows.
func (m *machines) passwordOf(ctx context.Context, id string, d details) (string, error) {
	if m.login.rsa == nil {
		return "", noWindowsKey(m.settings.Reveal().ConnectorConfig)
	}
	if d.key == "" {
		return "", provider.Errorf(provider.KindConfig, "instance %s runs Windows and has no key pair, so AWS encrypts no password for it: set the key pair of the launch template, or set a password", id)
	}
	p, ask := m.turn(id)
	if !p.text.Empty() {
		return p.text.Reveal(), nil
	}
	notYet := provider.Errorf(provider.KindTransient, "the password of instance %s is not there yet: Windows makes it in its first minutes, "+
		"if its image was prepared with EC2Launch; else set a password", id)
	if !ask {
		return "", notYet
	}
	out, err := m.ec2.GetPasswordData(ctx, &ec2.GetPasswordDataInput{InstanceId: aws.String(id)})
	if err != nil {
		return "", classify(err)
	}
	data := strings.TrimSpace(aws.ToString(out.PasswordData))
	if data == "" {
		return "", notYet
	}
	text, err := decrypt(m.login.rsa, data)
	if err != nil {
		return "", provider.Errorf(provider.KindConfig, "the private key of connector_config does not decrypt the password of instance %s: set key_path to the key of its key pair %.80q", id, d.key)
	}
	m.keepPassword(id, text)
	return text.Reveal(), nil
}

// turn returns what is known, and whether it is time to ask. Then it sets the time of the next question.
func (m *machines) turn(id string) (p password, ask bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, now := m.windows[id], m.now()
	if !p.text.Empty() || now.Before(p.again) {
		return p, false
	}
	p.pause = min(max(2*p.pause, m.good.password), passwordLast)
	p.again = now.Add(p.pause)
	if _, ok := m.members[id]; ok {
		m.windows[id] = p
	}
	return p, true
}

func (m *machines) keepPassword(id string, text secret.Text) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.members[id]; ok {
		m.windows[id] = password{text: text}
	}
}

// decrypt decrypts a password as AWS encrypts it.
func decrypt(key *rsa.PrivateKey, data string) (secret.Text, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(data), ""))
	if err != nil {
		return secret.Text{}, err
	}
	text, err := rsa.DecryptPKCS1v15(nil, key, raw) //nolint:staticcheck // AWS encrypts so
	return secret.New(string(text)), err
}

// templates is where the image of a launch template stands. An *ec2.Client has it.
type templates interface {
	DescribeLaunchTemplateVersions(context.Context, *ec2.DescribeLaunchTemplateVersionsInput, ...func(*ec2.Options)) (*ec2.DescribeLaunchTemplateVersionsOutput, error)
}

// checkImage returns an error if the group will launch machines with Windows whose passwords cannot be decrypted. What cannot be read is no error: ConnectInfo
// sees what the machines run.
func (m *machines) checkImage(ctx context.Context, t templates, a group) error {
	settings := m.settings.Reveal()
	if m.login.fixed || m.login.rsa != nil || settings.OS != "" {
		return nil
	}
	from := templateOf(a)
	if from == nil {
		return nil
	}
	known, err := m.imageOf(ctx, imageIn(ctx, t, from))
	if err == nil && known.os == "windows" {
		return noWindowsKey(settings.ConnectorConfig)
	}
	return nil
}

// imageIn returns the id of the image of a launch template, or "" if it cannot be read.
func imageIn(ctx context.Context, t templates, from *types.LaunchTemplateSpecification) string {
	out, err := t.DescribeLaunchTemplateVersions(ctx, &ec2.DescribeLaunchTemplateVersionsInput{
		LaunchTemplateId: from.LaunchTemplateId, LaunchTemplateName: nameUnlessID(from), Versions: []string{versionOf(from)}, ResolveAlias: aws.Bool(true),
	})
	if err != nil || len(out.LaunchTemplateVersions) == 0 || out.LaunchTemplateVersions[0].LaunchTemplateData == nil {
		return ""
	}
	if id := aws.ToString(out.LaunchTemplateVersions[0].LaunchTemplateData.ImageId); strings.HasPrefix(id, "ami-") {
		return id
	}
	return ""
}

// templateOf returns the launch template of a group, or nil.
func templateOf(a group) *types.LaunchTemplateSpecification {
	if p := a.MixedInstancesPolicy; p != nil && p.LaunchTemplate != nil {
		return p.LaunchTemplate.LaunchTemplateSpecification
	}
	return a.LaunchTemplate
}

// nameUnlessID returns the name of a launch template whose id is not known: AWS refuses a call with both.
func nameUnlessID(t *types.LaunchTemplateSpecification) *string {
	if t.LaunchTemplateId != nil {
		return nil
	}
	return t.LaunchTemplateName
}

func versionOf(t *types.LaunchTemplateSpecification) string {
	if v := aws.ToString(t.Version); v != "" {
		return v
	}
	return "$Default"
}
