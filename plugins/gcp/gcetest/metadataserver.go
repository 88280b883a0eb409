package gcetest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// serveMetadata is the metadata server of an instance of the project that runs as the first account. GCE_METADATA_HOST leads clients here.
func (s *Server) serveMetadata(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Metadata-Flavor", "Google")
	if r.Header.Get("Metadata-Flavor") != "Google" {
		http.Error(w, "Missing Metadata-Flavor:Google header.", http.StatusForbidden)
		return
	}
	email := s.defaultAccount()
	if len(s.cfg.Accounts) > 0 {
		email = s.cfg.Accounts[0].Email
	}
	path := strings.TrimPrefix(r.URL.Path, "/computeMetadata/v1/")
	for _, name := range []string{"default", email} {
		if rest, ok := strings.CutPrefix(path, "instance/service-accounts/"+name+"/"); ok {
			path = "account/" + rest
		}
	}
	texts := map[string]string{
		"project/project-id": s.cfg.Project, "project/numeric-project-id": fmt.Sprint(s.projectNumber()), "account/email": email, "universe/universe-domain": "googleapis.com",
		"account/scopes": "https://www.googleapis.com/auth/cloud-platform\n", "instance/service-accounts/": "default/\n" + email + "/\n",
	}
	text, known := texts[path]
	switch {
	case path == "account/token":
		t, _ := s.issue(email)
		answerJSON(w, http.StatusOK, map[string]any{"access_token": t, "token_type": "Bearer", "expires_in": int(tokenLife / time.Second)})
	case known || slices.Contains([]string{"", "instance/"}, path):
		_, _ = fmt.Fprint(w, text) // the client may have gone away
	default:
		http.NotFound(w, r)
	}
}
