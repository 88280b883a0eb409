package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/internal/draw"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

func TestIdentity(t *testing.T) {
	base := Runner{Index: 1, Name: "docker fleet", URL: "https://gitlab.example.com", ID: "42", Token: secret.New("a")}
	same := []Runner{
		{Index: 7, Name: "docker fleet", URL: "https://gitlab.example.com", ID: "42", Token: secret.New("b"), Limit: 3}, // token, position
		{Name: "renamed", URL: "https://gitlab.example.com/", ID: "42"},
		{URL: "HTTPS://GitLab.Example.com:443//", ID: "42"},
		{URL: " https://user:secret@gitlab.example.com", ID: "42"},
	}
	for _, r := range same {
		if r.Identity() != base.Identity() {
			t.Errorf("%+v: got %s, want %s", r, r.Identity(), base.Identity())
		}
	}
	other := []Runner{
		{Name: "docker fleet", URL: "https://gitlab.example.com", ID: "43"},
		{Name: "docker fleet", URL: "https://gitlab.example.org", ID: "42"},
		{Name: "docker fleet", URL: "https://gitlab.example.com/gitlab", ID: "42"},
		{Name: "docker fleet", URL: "https://gitlab.example.com:8443", ID: "42"},
		{Name: "docker fleet", URL: "http://gitlab.example.com", ID: "42"},
		{Name: "docker fleet", URL: "https://gitlab.example.com"},
		{Name: "docker-fleet", URL: "https://gitlab.example.com"},
		{Name: "42", URL: "https://gitlab.example.com"},
		{},
		{Name: "日本"},
		{URL: "::"},
	}
	seen := map[string]Runner{base.Identity(): base}
	for _, r := range other {
		if twin, ok := seen[r.Identity()]; ok {
			t.Errorf("%+v and %+v are both %s", r, twin, r.Identity())
		}
		seen[r.Identity()] = r
	}
	// State directories in use have this name, so it must never change.
	if got, want := base.Identity(), "gitlab.example.com-42-e9538bc21490"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestIdentityOverAnAddedID(t *testing.T) {
	before := Runner{Name: "x", URL: "https://gitlab.example.com"}
	after := Runner{Name: "x", URL: "https://gitlab.example.com/", ID: "42"}
	if after.FormerIdentity() != before.Identity() || before.FormerIdentity() != "" {
		t.Errorf("got %q and %q, want %q", after.FormerIdentity(), before.FormerIdentity(), before.Identity())
	}
	if (Runner{ID: "42"}).FormerIdentity() != "" {
		t.Error("a runner without a name never had an identity by name")
	}
}

func TestSharedIdentity(t *testing.T) {
	section := "[[runners]]\nname = \"%s\"\nexecutor = \"instance\"\n[runners.autoscaler]\nplugin = \"aws\"\n"
	f := parse(t, fmt.Sprintf(section, "a")+fmt.Sprintf(section, "b")+fmt.Sprintf(section, "a"))
	if !f.Runners[0].Shared || f.Runners[1].Shared || !f.Runners[2].Shared {
		t.Errorf("got %v %v %v", f.Runners[0].Shared, f.Runners[1].Shared, f.Runners[2].Shared)
	}
	one, two := f.Runners[0].GroupIdentity("aws/eu/one"), f.Runners[2].GroupIdentity("aws/eu/two")
	if one == two || !strings.HasPrefix(one, f.Runners[0].Identity()) || one != f.Runners[2].GroupIdentity("aws/eu/one") {
		t.Errorf("got %s and %s", one, two)
	}
}

// For every name, url and id, the identity is a safe directory name and metric label.
func TestIdentityIsSafe(t *testing.T) {
	safe := regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*-[0-9a-f]{12}$`)
	draw.Check(t, func(t *draw.T) {
		r := Runner{Name: draw.String().Draw(t, "name"),
			URL: draw.OneOf(draw.String(), draw.From([]string{"https://../..", "https://-x"})).Draw(t, "url"),
			ID:  draw.StringOf(draw.Range('0', '9'), 0, 12).Draw(t, "id")}
		for _, id := range []string{r.Identity(), r.GroupIdentity("g")} {
			if !safe.MatchString(id) || len(id) > 100 {
				t.Fatalf("%+v has the identity %q", r, id)
			}
		}
	})
}

func TestLabel(t *testing.T) {
	for want, r := range map[string]Runner{
		`"docker" at gitlab.example.com`:         {Name: "docker", URL: "https://user:pw@gitlab.example.com:1/x", ID: "1"},
		`runner id 42 at gitlab.example.com`:     {URL: "https://gitlab.example.com", ID: "42"},
		`runner 3`:                               {Index: 3},
		`runner 3 at gitlab.example.com`:         {Index: 3, URL: "https://gitlab.example.com"},
		`"a \"quoted\"" at gitlab.example.com`:   {Name: `a "quoted"`, URL: "https://gitlab.example.com"},
		`"escaped\x1b[2J" at gitlab.example.com`: {Name: "escaped\x1b[2J", URL: "https://gitlab.example.com"},
	} {
		if got := r.Label(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := r.Title(), "runner "+strings.TrimPrefix(want, "runner "); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestSelect(t *testing.T) {
	runner := func(index int, name, id string, scaled bool) Runner {
		r := Runner{Index: index, Name: name, ID: id}
		if scaled {
			r.Autoscaler = &Autoscaler{}
		}
		return r
	}
	f := &File{Runners: []Runner{
		runner(1, "shell", "10", false), runner(2, "fleet", "20", true),
		runner(3, "twin", "", true), runner(4, "twin", "3", true), runner(5, "2", "", true),
	}}
	for _, c := range []struct {
		asked string
		want  []int
		fails string
	}{
		{"", []int{2, 3, 4, 5}, ""},
		{"fleet", []int{2}, ""},
		{"20", []int{2}, ""},
		{"2", []int{5}, ""}, // a name wins over a position
		{"3", []int{4}, ""}, // an id wins over a position
		{"4", []int{4}, ""},
		{"twin", nil, `runner "twin": 2 runners have it; use the id or the position (3, 4); choose one of: ` +
			`2: "fleet" (id 20); 3: "twin"; 4: "twin" (id 3); 5: "2"`},
		{"shell", nil, "it has no [runners.autoscaler] section"},
		{"1", nil, "it has no [runners.autoscaler] section"},
		{"6", nil, "no runner has this name, id or position"},
		{"0", nil, "no runner has this name, id or position"},
		{"-1", nil, "no runner has this name, id or position"},
		{"Fleet", nil, `2: "fleet" (id 20)`},
	} {
		got, err := f.Select(c.asked)
		var indices []int
		for _, r := range got {
			indices = append(indices, r.Index)
		}
		var failure *SelectError
		wrongError := (err != nil) != (c.fails != "") || err != nil && (!errors.As(err, &failure) || !strings.Contains(err.Error(), c.fails))
		if fmt.Sprint(indices) != fmt.Sprint(c.want) || wrongError {
			t.Errorf("%q: got %v, %v; want %v, %q", c.asked, indices, err, c.want, c.fails)
		}
	}
	if _, err := (&File{}).Select(""); err == nil || !strings.Contains(err.Error(), "no runner of the file has a [runners.autoscaler] section") {
		t.Errorf("an empty file: got %v", err)
	}
}
