package gcetest

import (
	"log/slog"
	"time"

	"github.com/taskscaler/taskscaler/pkg/cloudmodel"
)

// The images that exist without Config.Images, in the project debian-cloud or windows-cloud.
const (
	ImageLinux   = "projects/debian-cloud/global/images/debian-12-bookworm-v20241112"
	ImageARM     = "projects/debian-cloud/global/images/debian-12-bookworm-arm64-v20241112"
	ImageWindows = "projects/windows-cloud/global/images/windows-server-2022-dc-v20241115"
)

// Config describes a cloud: one project. The zero Config is one without groups, where everybody may do everything.
type Config struct {
	Listen    string              // host:port, default a free port of 127.0.0.1
	Project   string              // default "acme-ci"
	Regions   map[string][]string // region → its zones; default two regions with three and two zones
	Groups    []GroupConfig       // the groups that exist at the start
	Model     cloudmodel.Config   // of groups that are made by insert
	Images    []Image             // besides the three that exist always
	Metadata  map[string]string   // of the project
	Accounts  []Account           // who may call; empty: everybody, without a token
	Grants    []string            // the permissions of callers who have none of their own; empty: all
	Disabled  bool                // the API is not enabled in the project
	Machines  Machines            // nil: no machine listens
	Now       func() time.Time    // nil: the real time, and things happen by themselves
	PageSize  int                 // the most entries of a page that an answer has; 0: as Google
	Latency   time.Duration       // added to each answer
	Throttle  map[string]Bucket   // by method, as "instances.list"; "*" is for each method that is not named
	Operation time.Duration       // how long an operation takes
	Agent     time.Duration       // from a change of metadata until the instance's agent has applied it
	Notice    time.Duration       // from Server.Preempt until the instance is stopped; default 30 s
	Log       *slog.Logger        // nil: nothing is logged
}

// GroupConfig describes a managed instance group.
type GroupConfig struct {
	Name         string
	Zone         string   // of a zonal group
	Region       string   // of a regional group
	Zones        []string // of a regional group; default all of its region
	Shape        string   // of a regional group: "EVEN" (default), "BALANCED", "ANY" or "ANY_SINGLE_ZONE"; all but EVEN avoid zones without capacity
	TargetSize   int
	Model        cloudmodel.Config
	Seed         uint64
	Image        string // default ImageLinux
	MachineType  string // default "e2-standard-2"; for arm64 "t2a-standard-2"
	Spot         bool
	External     bool              // instances have an external address too; no machine listens there
	IPv6         bool              // instances have an IPv6 address too; no machine listens there
	Metadata     map[string]string // of the template
	Labels       map[string]string // of the template
	User         string            // the only user of the machines; default: the first one who has a key in the metadata at the boot, or "taskscaler"
	Autohealing  bool              // there is a health check
	NoRepair     bool              // defaultActionOnFailure is DO_NOTHING
	Autoscaler   string            // mode of an autoscaler: "ON", "OFF" or "ONLY_SCALE_OUT"; "": there is none
	UpdatePolicy string            // "PROACTIVE" or "OPPORTUNISTIC", which is the default
	Redistribute bool              // a regional group moves instances between zones: instanceRedistributionType PROACTIVE
	Paginated    bool              // listManagedInstancesResults is PAGINATED
	SameID       bool              // an instance that is recreated keeps its id and creationTimestamp, as was seen at Google in 2026; its boot disk is another one
	Account      string            // email of the service account that instances run as; then changes of metadata need iam.serviceAccounts.actAs too
	Verify       time.Duration     // with Autohealing: from running until the group has verified an instance
	Reaction     time.Duration     // how long the group takes to act on its target size, and on instances that stopped
	Retry        time.Duration     // the first wait after a failed create; it doubles up to 5 min; default 10 s
	NoRetries    bool              // the group tries only once to create an instance (CREATING_WITHOUT_RETRIES), and lowers its target size if that fails
}

// Image is an image of disks.
type Image struct {
	Name         string // projects/PROJECT/global/images/NAME
	Family       string
	Architecture string // "X86_64" or "ARM64"
	Windows      bool
}

// Account is a service account.
type Account struct {
	Email  string
	Token  string   // a token that is always valid; "": only those of the token endpoint, see Server.Credentials
	Grants []string // permissions; empty: Config.Grants
	May    []string // emails of the accounts whose tokens it may create (impersonation)
}

// Bucket is a token bucket: Size tokens at first, and PerSecond new ones. A call takes one.
type Bucket struct {
	Size      float64
	PerSecond float64
}

// Machines boots machines. Boot is called when an instance is running, and returns when it listens. It is not called twice at once.
type Machines interface {
	Boot(id string, spec MachineSpec) (Machine, error)
}

// MachineSpec describes the machine of an instance.
type MachineSpec struct {
	IP   string // the address to listen on, 127.x.y.z
	User string // who may log in
}

// Machine is a running machine.
type Machine interface {
	// Authorize lets user log in with publicKey until then; the zero time is never. Sessions that are open go on.
	Authorize(user, publicKey string, until time.Time) error
	// HostKey returns the public key of the machine, as in authorized_keys.
	HostKey() string
	// Stop ends the machine, because its instance stopped.
	Stop()
}

func (c *Config) setDefaults() {
	setDefault(&c.Listen, "127.0.0.1:0")
	setDefault(&c.Project, "acme-ci")
	setDefault(&c.Notice, 30*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if len(c.Regions) == 0 {
		c.Regions = map[string][]string{
			"europe-west1": {"europe-west1-b", "europe-west1-c", "europe-west1-d"},
			"us-central1":  {"us-central1-a", "us-central1-b"},
		}
	}
	c.Images = append([]Image{
		{Name: ImageLinux, Family: "debian-12", Architecture: x86},
		{Name: ImageARM, Family: "debian-12-arm64", Architecture: "ARM64"},
		{Name: ImageWindows, Family: "windows-2022", Architecture: x86, Windows: true},
	}, c.Images...)
}

const x86 = "X86_64"

func setDefault[T comparable](to *T, value T) {
	var zero T
	if *to == zero {
		*to = value
	}
}
