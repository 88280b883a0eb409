package control_test

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/internal/control"
	"github.com/taskscaler/taskscaler/internal/control/controltest"
)

// An error without a code or a text gets them, so that a person who waits reads a reason.
func TestErrorsWithoutAText(t *testing.T) {
	for name, err := range map[string]error{
		"no text": errors.New(""), "a code alone": &control.APIError{Code: control.CodeRefused}, "nothing": &control.APIError{}, "a nil pointer": (*control.APIError)(nil),
	} {
		m := controltest.New(1)
		m.NotReady(nil)
		m.Deny(err)
		w := httptest.NewRecorder()
		s := control.NewServer(m, 0, slog.New(slog.DiscardHandler))
		s.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/leases", strings.NewReader(`{"key":"k","mode":"acquire","holder":"h"}`)))
		var ev control.Event
		if bad := json.Unmarshal(w.Body.Bytes(), &ev); bad != nil || ev.Error == nil || ev.Error.Code == "" || !strings.Contains(ev.Error.Message, "gave no reason") {
			t.Errorf("%s: %s, %v", name, w.Body, bad)
		}
	}
}
