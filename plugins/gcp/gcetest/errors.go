package gcetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/taskscaler/taskscaler/pkg/failure"
)

// apiError is an error as Google answers it.
type apiError struct {
	status     int
	message    string
	reason     string
	domain     string
	code       string // as PERMISSION_DENIED
	location   string
	details    []any
	retryAfter time.Duration
	raw        string // the whole body instead
}

func (e *apiError) Error() string { return e.message }

func refuse(status int, reason, format string, args ...any) *apiError {
	return &apiError{status: status, reason: reason, domain: "global", message: fmt.Sprintf(format, args...)}
}

func (e *apiError) withReason(reason string) *apiError {
	e.reason = reason
	return e
}

func invalid(format string, args ...any) *apiError {
	return refuse(http.StatusBadRequest, "invalid", format, args...)
}

// missing is the answer for a resource that does not exist. Path is below the project, or begins with "projects/".
func (c *call) missing(path string) *apiError {
	return refuse(http.StatusNotFound, "notFound", "The resource '%s' was not found", c.full(path))
}

func (c *call) forbidden(permission, path string) *apiError {
	return refuse(http.StatusForbidden, "forbidden", "Required '%s' permission for '%s'", permission, c.full(path))
}

func unauthenticated() *apiError {
	e := refuse(http.StatusUnauthorized, "authError", "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "+
		"authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.")
	e.location, e.code = "Authorization", "UNAUTHENTICATED"
	return e
}

func (s *Server) disabled() *apiError {
	e := refuse(http.StatusForbidden, "accessNotConfigured", "Compute Engine API has not been used in project %s before or it is disabled. Enable it by visiting "+
		"https://console.developers.google.com/apis/api/compute.googleapis.com/overview?project=%s then retry. If you enabled this API recently, wait a few minutes "+
		"for the action to propagate to our systems and retry.", s.cfg.Project, s.cfg.Project)
	e.domain, e.code = "usageLimits", "PERMISSION_DENIED"
	e.details = []any{errorInfo("SERVICE_DISABLED", map[string]string{"service": "compute.googleapis.com", "consumer": "projects/" + s.cfg.Project})}
	return e
}

func (s *Server) rateLimited() *apiError {
	e := refuse(http.StatusForbidden, "rateLimitExceeded", "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service "+
		"'compute.googleapis.com' for consumer 'project_number:%d'.", s.projectNumber())
	e.domain, e.code = "usageLimits", "PERMISSION_DENIED"
	e.details = []any{errorInfo("RATE_LIMIT_EXCEEDED", map[string]string{"service": "compute.googleapis.com", "quota_limit": "QueriesPerMinutePerProject",
		"consumer": fmt.Sprintf("projects/%d", s.projectNumber()), "quota_metric": "compute.googleapis.com/queries"})}
	return e
}

func errorInfo(reason string, metadata map[string]string) any {
	return map[string]any{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com", "metadata": metadata}
}

// ofModel says a failure of the model as Google would, for a call that fails.
func (s *Server) ofModel(f failure.Failure) *apiError {
	var e *apiError
	switch f.Kind { //nolint:exhaustive // the others are errors of the backend
	case failure.Throttled:
		e = s.rateLimited()
	case failure.NotFound:
		e = refuse(http.StatusNotFound, "notFound", "The resource was not found")
	case failure.Config:
		e = refuse(http.StatusForbidden, "forbidden", "The caller does not have permission")
	default:
		e = refuse(http.StatusServiceUnavailable, "backendError", "Backend Error. Please try again.")
	}
	e.retryAfter = f.RetryAfter
	return e
}

// body is the answer in JSON.
func (e *apiError) body() []byte {
	if e.raw != "" {
		return []byte(e.raw)
	}
	one := map[string]any{"message": e.message, "domain": e.domain, "reason": e.reason}
	if e.location != "" {
		one["location"], one["locationType"] = e.location, "header"
	}
	all := map[string]any{"code": e.status, "message": e.message, "errors": []any{one}}
	if e.code != "" {
		all["status"] = e.code
	}
	if len(e.details) > 0 {
		all["details"] = e.details
	}
	text, err := json.MarshalIndent(map[string]any{"error": all}, "", "  ")
	if err != nil {
		panic(err) // of texts and numbers only
	}
	return text
}
