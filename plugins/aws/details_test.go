package aws

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

func TestPlatform(t *testing.T) {
	for _, c := range []struct {
		short, long string
		arch        types.ArchitectureValues
		os, goarch  string
	}{
		{"", "Linux/UNIX", types.ArchitectureValuesX8664, "linux", "amd64"}, {"", "Red Hat Enterprise Linux", types.ArchitectureValuesArm64, "linux", "arm64"},
		{"windows", "Windows", types.ArchitectureValuesX8664, "windows", "amd64"}, {"Windows", "", types.ArchitectureValuesX8664, "windows", "amd64"},
		{"", "Windows with SQL Server Standard", types.ArchitectureValuesX8664, "windows", "amd64"},
		{"", "Linux/UNIX", types.ArchitectureValuesArm64Mac, "darwin", "arm64"}, {"", "Linux/UNIX", types.ArchitectureValuesX8664Mac, "darwin", "amd64"},
		{"", "Linux/UNIX", types.ArchitectureValuesI386, "linux", "386"}, {"", "", "", "", ""}, {"", "Linux/UNIX", "riscv128", "linux", ""},
	} {
		if os, arch := platform(c.short, c.long, c.arch); os != c.os || arch != c.goarch {
			t.Errorf("%+v: %s, %s", c, os, arch)
		}
	}
}

func TestImageSaysWhatTheInstanceDoesNot(t *testing.T) {
	onGround(t, provider.Settings{}, func(t *testing.T, g *ground) {
		for n := range 3 {
			i := g.run(n)
			i.Architecture, i.PlatformDetails, i.ImageId = "", nil, aws.String("ami-arm")
		}
		g.instances[ident(2)].ImageId = aws.String("ami-gone")
		g.amis["ami-arm"] = types.Image{ImageId: aws.String("ami-arm"), PlatformDetails: aws.String("Linux/UNIX"), Architecture: types.ArchitectureValuesArm64}
		g.sees(t)
		for range 3 {
			for n, arch := range []string{"arm64", "arm64", ""} {
				info, err := g.connectInfo(t.Context(), ident(n))
				if err != nil || info.OS != "linux" || info.Arch != arch {
					t.Errorf("%d: %v, %v", n, info, err)
				}
			}
			time.Sleep(time.Minute)
		}
		if n := g.count("DescribeImages"); n != 2 {
			t.Errorf("%d questions about images", n)
		}
	})
}

// TestDetailsAreReadInBatches: what a list shows for the first time is described before the manager asks for it.
func TestDetailsAreReadInBatches(t *testing.T) {
	onGround(t, provider.Settings{ConnectorConfig: provider.ConnectorConfig{UseStaticCredentials: true, Password: "p"}}, func(t *testing.T, g *ground) {
		for n := range 500 {
			g.run(n)
		}
		g.list(t)
		for n := range 500 { // the manager begins at once
			if _, err := g.connectInfo(t.Context(), ident(n)); err != nil {
				t.Fatal(err)
			}
		}
		if n := g.count("DescribeInstances"); n != 5 {
			t.Errorf("%d describes of 500 instances", n)
		}
		if len(g.details) != 500 {
			t.Errorf("%d are known", len(g.details))
		}
		g.change(func() { clear(g.instances) })
		g.list(t)
		if len(g.details)+len(g.statuses)+len(g.pushes) != 0 {
			t.Errorf("%d instances are not forgotten", len(g.details))
		}
	})
}

// TestDetailsOfABusyFleet: how many calls are made depends on the machines and the time, and not on the jobs.
func TestDetailsOfABusyFleet(t *testing.T) {
	onGround(t, provider.Settings{}, func(t *testing.T, g *ground) {
		const n = 90
		for i := range n {
			g.run(i)
		}
		g.sees(t)
		const minutes = 10
		for i := range minutes * 600 { // ten jobs a second
			if _, err := g.connectInfo(t.Context(), ident(i%n)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute / 600)
		}
		if calls := g.count("DescribeInstances"); calls > 3*minutes+2 {
			t.Errorf("%d descriptions in %d minutes", calls, minutes)
		}
		if calls := g.count("SendSSHPublicKey"); calls > 2*n*minutes {
			t.Errorf("%d pushes in %d minutes for %d machines", calls, minutes, n)
		}
	})
}

func TestThrottledDetails(t *testing.T) {
	onGround(t, provider.Settings{}, func(t *testing.T, g *ground) {
		g.run(1)
		g.fail["DescribeInstances"] = apiError("RequestLimitExceeded", "Request limit exceeded.")
		g.sees(t)
		if _, err := g.connectInfo(t.Context(), ident(1)); provider.KindOf(err) != provider.KindThrottled {
			t.Errorf("%v", err)
		}
		g.change(func() { clear(g.fail) })
		if _, err := g.connectInfo(t.Context(), ident(1)); err != nil {
			t.Error(err)
		}
	})
}
