package gcetest

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	compute "cloud.google.com/go/compute/apiv1"
	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/api/option"
)

const (
	robot  = "fleet@acme-ci.iam.gserviceaccount.com"
	minder = "minder@acme-ci.iam.gserviceaccount.com"
)

func guarded(now *clock) Config {
	cfg := zonal(GroupConfig{}, now)
	cfg.Accounts = []Account{
		{Email: robot, Grants: []string{"compute.instanceGroupManagers.get"}, May: []string{minder}},
		{Email: minder, Grants: []string{"compute.instanceGroupManagers.get", "compute.instanceGroupManagers.update"}},
		{Email: "static@acme-ci.iam.gserviceaccount.com", Token: "ya29.static"},
	}
	return cfg
}

// getWith gets the group with the credentials that Google's client finds by itself.
func (r *rig) getWith(opts ...option.ClientOption) error {
	r.t.Helper()
	c, err := compute.NewInstanceGroupManagersRESTClient(r.ctx, append(opts, option.WithEndpoint(r.URL()))...)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_, err = c.Get(r.ctx, &computepb.GetInstanceGroupManagerRequest{Project: project, Zone: zoneA, InstanceGroupManager: "ci"})
	return err
}

func TestCredentialsFile(t *testing.T) {
	r := newRig(t, guarded(newClock()))
	refused(t, r.getGroup(), http.StatusUnauthorized, "required", "Login Required")
	path := filepath.Join(t.TempDir(), "key.json")
	if err := r.Credentials(path, robot); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", path)
	if err := r.getWith(); err != nil {
		t.Fatal(err)
	}
	// With a scope, and no self-signed tokens, the client asks the token endpoint.
	if err := r.getWith(option.WithAuthCredentialsFile(option.ServiceAccount, path), option.WithScopes("https://www.googleapis.com/auth/compute")); err != nil {
		t.Fatal(err)
	}
	if n := r.Calls()["oauth.token"]; n != 2 {
		t.Errorf("the token endpoint was called %d times", n)
	}
	if err := r.Credentials(path, "nobody"); err == nil {
		t.Fatal("an unknown account has a file")
	}
	other := newRig(t, guarded(newClock()))
	if err := other.Credentials(path, robot); err != nil {
		t.Fatal(err)
	}
	refused(t, r.getWith(), http.StatusUnauthorized, "authError", "invalid authentication credentials")
}

func TestExpiredTokens(t *testing.T) {
	r := newRig(t, guarded(newClock()))
	path := filepath.Join(t.TempDir(), "key.json")
	if err := r.Credentials(path, robot); err != nil {
		t.Fatal(err)
	}
	c := must(compute.NewInstanceGroupManagersRESTClient(r.ctx, option.WithAuthCredentialsFile(option.ServiceAccount, path), option.WithEndpoint(r.URL())))
	get := func() error {
		_, err := c.Get(r.ctx, &computepb.GetInstanceGroupManagerRequest{Project: project, Zone: zoneA, InstanceGroupManager: "ci"})
		return err
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	r.ExpireTokens()
	refused(t, get(), http.StatusUnauthorized, "authError", "invalid authentication credentials")
}

func TestImpersonation(t *testing.T) {
	r := newRig(t, guarded(newClock()))
	dir := t.TempDir()
	path := filepath.Join(dir, "key.json")
	if err := r.Credentials(path, robot); err != nil {
		t.Fatal(err)
	}
	write := func(email string) {
		text := must(json.Marshal(map[string]any{"type": "impersonated_service_account", "source_credentials": json.RawMessage(must(os.ReadFile(path))),
			"service_account_impersonation_url": r.URL() + "/v1/projects/-/serviceAccounts/" + email + ":generateAccessToken"}))
		if err := os.WriteFile(filepath.Join(dir, "as.json"), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", filepath.Join(dir, "as.json"))
	write(minder)
	if err := r.getWith(); err != nil {
		t.Fatal(err)
	}
	if n := r.Calls()["iamcredentials.generateAccessToken"]; n != 1 {
		t.Fatalf("the token was asked for %d times", n)
	}
	write("static@acme-ci.iam.gserviceaccount.com")
	if err := r.getWith(); err == nil || !strings.Contains(err.Error(), "iam.serviceAccounts.getAccessToken") {
		t.Fatalf("the error is %v", err)
	}
}

func TestMetadataServer(t *testing.T) {
	r := newRig(t, guarded(newClock()))
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("HOME", t.TempDir()) // no credentials of gcloud
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(r.URL(), "http://"))
	if err := r.getWith(); err != nil {
		t.Fatal(err)
	}
}

func TestPermissions(t *testing.T) {
	cfg := zonal(GroupConfig{}, newClock())
	cfg.Grants = []string{"compute.instanceGroupManagers.get"}
	r := newRig(t, cfg)
	if err := r.getGroup(); err != nil {
		t.Fatal(err)
	}
	_, err := r.groups.Resize(r.ctx, &computepb.ResizeInstanceGroupManagerRequest{Project: project, Zone: zoneA, InstanceGroupManager: "ci", Size: 3})
	refused(t, err, http.StatusForbidden, "forbidden",
		"Required 'compute.instanceGroupManagers.update' permission for 'projects/acme-ci/zones/us-central1-a/instanceGroupManagers/ci'")
	r.bad(403, "Required 'compute.instances.list' permission for 'projects/acme-ci'", "GET", "zones/"+zoneA+"/instances", "")
}

// Who changes the metadata of an instance that runs as a service account must be allowed to act as it.
func TestActAs(t *testing.T) {
	cfg := zonal(GroupConfig{TargetSize: 1, Account: robot}, newClock())
	cfg.Grants = []string{"compute.instances.get", "compute.instances.setMetadata"}
	r := newRig(t, cfg)
	name := r.Instances()[0].Name
	m := r.get(zoneA, name).GetMetadata()
	_, err := r.instances.SetMetadata(r.ctx, &computepb.SetMetadataInstanceRequest{Project: project, Zone: zoneA, Instance: name, MetadataResource: m})
	refused(t, err, http.StatusForbidden, "forbidden", "Required 'iam.serviceAccounts.actAs' permission for 'projects/acme-ci'")
}

func TestDisabledService(t *testing.T) {
	cfg := zonal(GroupConfig{}, newClock())
	cfg.Disabled = true
	r := newRig(t, cfg)
	refused(t, r.getGroup(), http.StatusForbidden, "accessNotConfigured", "has not been used in project acme-ci before or it is disabled")
}

// Each method says which permissions it needs, except those of public images.
func TestEveryMethodHasPermissions(t *testing.T) {
	for name, m := range methods() {
		if len(m.permissions) == 0 && !strings.HasPrefix(name, "images.") {
			t.Errorf("%s has no permissions", name)
		}
		if slices.ContainsFunc(m.permissions, func(p string) bool { return strings.Count(p, ".") != 2 }) {
			t.Errorf("%s has the permissions %q", name, m.permissions)
		}
	}
}
