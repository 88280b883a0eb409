package connector_test

import (
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/pkg/connector"
	"github.com/taskscaler/taskscaler/pkg/connector/connectortest"
)

// quick shortens the waits that every test has (the grace between TERM and KILL, the pauses between attempts). A slow server reaches no
// other limit.
func quick(opts connector.DialOptions) connector.DialOptions {
	return connector.Quick(opts, hang, hang, time.Second, hang)
}

func TestConformanceSSHD(t *testing.T) {
	foreign, _ := newKey(t)
	connectortest.Run(t, connectortest.Target{
		Info: startSSHD(t, "Subsystem sftp internal-sftp").info, Options: quick(connector.DialOptions{}), Tunnels: true, Terminals: true, AcceptsEnv: "LC_TASKSCALER", ForeignKey: foreign,
	})
}

func TestConformanceDropbear(t *testing.T) {
	foreign, _ := newKey(t)
	connectortest.Run(t, connectortest.Target{Info: startDropbear(t).info, Options: quick(connector.DialOptions{}), Terminals: true, ForeignKey: foreign})
}

func TestConformanceTinysshd(t *testing.T) {
	foreign, _ := newKey(t)
	connectortest.Run(t, connectortest.Target{
		Info: startTinysshd(t).info, Options: quick(connector.DialOptions{}), SingleSession: true, Terminals: true, AcceptsEnv: "LC_TASKSCALER", ForeignKey: foreign,
		DiesOfUnreadStdin: true, // fatal: unable to write data to child (broken pipe)
	})
}

func TestConformanceInProcess(t *testing.T) {
	foreign, _ := newKey(t)
	connectortest.Run(t, connectortest.Target{
		Info: startInProcess(t).info, Options: quick(connector.DialOptions{}), AcceptsEnv: "TASKSCALER_ANY", ForeignKey: foreign,
	})
}
