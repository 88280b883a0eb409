package ec2

import (
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// keyLife is how long a key that EC2 Instance Connect pushed lets its owner in.
const keyLife = 60 * time.Second

type (
	sendSSHPublicKeyInput struct {
		InstanceID string `json:"InstanceId"`
		OSUser     string `json:"InstanceOSUser"`
		Key        string `json:"SSHPublicKey"`
		Zone       string `json:"AvailabilityZone"`
	}
	sendSSHPublicKeyOutput struct {
		RequestID string `json:"RequestId"`
		Success   bool   `json:"Success"`
	}
)

// ofInstance is a target: an instance by its id.
func (c *call) ofInstance(id string) target {
	t := target{resource: "arn:aws:ec2:" + c.cfg.Region + ":" + c.cfg.Account + ":instance/" + id, keys: map[string]string{}}
	if in := c.instances[id]; in != nil {
		for _, tag := range in.tags {
			t.keys["ec2:ResourceTag/"+tag.Key] = tag.Value
			t.keys["aws:ResourceTag/"+tag.Key] = tag.Value
		}
	}
	return t
}

func (in *sendSSHPublicKeyInput) target(c *call) target {
	t := c.ofInstance(in.InstanceID)
	t.keys["ec2:osuser"] = in.OSUser
	return t
}

func sendSSHPublicKey(c *call, in *sendSSHPublicKeyInput) (*sendSSHPublicKeyOutput, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	i := c.instances[in.InstanceID]
	var v view
	if i != nil {
		views, err := c.views(i.group)
		if err != nil {
			return nil, err
		}
		v = views[i]
	}
	switch {
	case i == nil || v.hidden || i.state == terminated:
		return nil, refuse("EC2InstanceNotFoundException", "Instance not found")
	case in.Zone != "" && in.Zone != i.subnet.zone:
		return nil, refuse("EC2InstanceNotFoundException", "Instance not found")
	case i.state != running:
		return nil, refuse("EC2InstanceStateInvalidException", "Instance is not in a valid state for this operation. It is %s.", i.state.name())
	case i.image.Windows:
		return nil, refuse("EC2InstanceTypeInvalidException", "EC2 Instance Connect does not support Windows instances")
	case i.machine == nil && c.cfg.Machines != nil:
		return nil, refuse("EC2InstanceUnavailableException", "Instance is currently unavailable. Please try again.")
	case i.machine != nil:
		if err := i.machine.Authorize(in.OSUser, in.Key, time.Now().Add(keyLife)); err != nil {
			return nil, refuse("ServiceException", "%s", err).with(500)
		}
	}
	return &sendSSHPublicKeyOutput{RequestID: requestID(), Success: true}, nil
}

// check refuses what AWS refuses of the input.
func (in *sendSSHPublicKeyInput) check() error {
	switch {
	case !instanceID.MatchString(in.InstanceID):
		return refuse("InvalidArgsException", "Instance ID is invalid: %s", in.InstanceID)
	case in.OSUser == "" || len(in.OSUser) > 32 || strings.ContainsAny(in.OSUser, " /:"):
		return refuse("InvalidArgsException", "InstanceOSUser is invalid")
	case len(in.Key) > 4096:
		return refuse("InvalidArgsException", "SSHPublicKey is too long")
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(in.Key))
	if err != nil || key.Type() != ssh.KeyAlgoRSA && key.Type() != ssh.KeyAlgoED25519 {
		return refuse("InvalidArgsException", "Invalid SSH public key. Supported types are RSA and ED25519.")
	}
	return nil
}
