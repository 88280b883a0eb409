package ec2

import (
	"log/slog"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

// The images that exist without Config.Images.
const (
	ImageLinux   = "ami-00000000000000001" // Amazon Linux, x86_64; its user is ec2-user
	ImageARM     = "ami-00000000000000002" // the same for arm64
	ImageWindows = "ami-00000000000000003" // Windows Server, x86_64; its user is Administrator
)

// Config describes a cloud: one account in one region. The zero Config is one without groups, where everything is allowed.
type Config struct {
	Listen      string                // host:port, default a free port of 127.0.0.1
	Region      string                // default "eu-west-1"
	Account     string                // default "123456789012"
	Groups      []GroupConfig         // the groups that exist at the start
	Model       cloudmodel.Config     // of groups that are made by CreateAutoScalingGroup
	Images      []Image               // besides the three that exist always
	KeyPairs    map[string]string     // name → public key, as in authorized_keys
	Machines    Machines              // nil: no machine listens
	Now         func() time.Time      // nil: the real time, and things happen by themselves
	PageSize    int                   // the most entries of a page that an answer has; 0: as AWS
	Latency     time.Duration         // added to each answer
	Throttle    map[string]Bucket     // by "service:Action"; "*" is for each action that is not named
	Policy      string                // IAM policy document of credentials that have none; "": all is allowed
	Credentials map[string]Credential // by access key; empty: there is one, see Server.Env
	Keep        time.Duration         // how long DescribeInstances shows terminated instances; default 1 h
	Notice      time.Duration         // from Server.Interrupt until the instance is gone; default 2 min
	Log         *slog.Logger          // nil: nothing is logged
}

// GroupConfig describes an Auto Scaling group.
type GroupConfig struct {
	Name              string
	Min, Desired, Max int
	ProtectNew        bool // new instances are protected from scale-in
	Model             cloudmodel.Config
	Seed              uint64
	Image             string // default ImageLinux
	InstanceType      string // default "m6i.large"; for ImageARM "m6g.large"
	KeyName           string // a name of Config.KeyPairs
	Spot              bool
	MixedInstances    bool // the group has a mixed instances policy instead of a launch template
	CapacityRebalance bool
	PublicIP, IPv6    bool              // instances have such an address too; no machine listens there
	Suspended         []string          // suspended processes
	Tags              map[string]string // of the group and its instances
	Reaction          time.Duration     // how long the group takes to notice that it has too few or unhealthy instances
	Retry             time.Duration     // the first wait after a failed launch; it doubles up to 5 min; default 15 s
	PasswordAfter     time.Duration     // Windows: from running until the password can be read
	Checks            time.Duration     // from running until the status checks have passed; before, they are "initializing"
}

// Image is a machine image.
type Image struct {
	ID           string // ami-…
	Name         string
	Architecture string // "x86_64" or "arm64"
	Windows      bool
	User         string // who may log in with the key pair
}

// Bucket is a token bucket: Size tokens at first, and PerSecond new ones. A call takes one.
type Bucket struct {
	Size      float64
	PerSecond float64
}

// Credential is the secret of an access key.
type Credential struct {
	Secret  string
	Token   string    // session token; "": none
	Expires time.Time // of the token; zero: never
	User    string    // name of the IAM user; default "taskscaler"
	Policy  string    // IAM policy document; "": Config.Policy
}

// Machines boots machines. Boot is called when an instance is running, and returns when it listens. It is not called twice at once.
type Machines interface {
	Boot(id string, spec MachineSpec) (Machine, error)
}

// MachineSpec describes the machine of an instance.
type MachineSpec struct {
	IP             string   // the address to listen on, 127.x.y.z
	User           string   // the image's user
	AuthorizedKeys []string // the key pair's public key, if there is a key pair
}

// Machine is a running machine.
type Machine interface {
	// Authorize lets user log in with publicKey until then. Sessions that are open go on.
	Authorize(user, publicKey string, until time.Time) error
	// Stop ends the machine, because its instance is gone.
	Stop()
}

// setDefaults fills what is not set.
func (c *Config) setDefaults() {
	setDefault(&c.Listen, "127.0.0.1:0")
	setDefault(&c.Region, "eu-west-1")
	setDefault(&c.Account, "123456789012")
	setDefault(&c.Keep, time.Hour)
	setDefault(&c.Notice, 2*time.Minute)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Images = append([]Image{
		{ID: ImageLinux, Name: "al2023-ami-2023.5.20240903.0-kernel-6.1-x86_64", Architecture: "x86_64", User: "ec2-user"},
		{ID: ImageARM, Name: "al2023-ami-2023.5.20240903.0-kernel-6.1-arm64", Architecture: "arm64", User: "ec2-user"},
		{ID: ImageWindows, Name: "Windows_Server-2022-English-Full-Base-2024.09.11", Architecture: "x86_64", Windows: true, User: "Administrator"},
	}, c.Images...)
}

func setDefault[T comparable](to *T, value T) {
	var zero T
	if *to == zero {
		*to = value
	}
}
