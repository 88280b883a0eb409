package ec2

import (
	"fmt"
	"net/http"

	"github.com/taskscaler/taskscaler/pkg/failure"
)

// apiError is an error as AWS answers it.
type apiError struct {
	code, message string
	status        int
}

// Error returns the code and the message.
func (e *apiError) Error() string { return e.code + ": " + e.message }

func refuse(code, format string, args ...any) *apiError {
	return &apiError{code: code, message: fmt.Sprintf(format, args...), status: http.StatusBadRequest}
}

func (e *apiError) with(status int) *apiError {
	e.status = status
	return e
}

// invalid is the error of Auto Scaling for a wrong value.
func invalid(format string, args ...any) *apiError { return refuse("ValidationError", format, args...) }

func noGroup(name string) *apiError {
	return invalid("AutoScalingGroup name not found - AutoScalingGroup '%s' not found", name)
}

func noManagedInstance(id string) *apiError {
	return invalid("Instance Id not found - No managed instance found for instance ID: %s", id)
}

// throttled is the answer of each service to too many calls.
func throttled(service string) *apiError {
	switch service {
	case serviceEC2:
		return refuse("RequestLimitExceeded", "Request limit exceeded.").with(http.StatusServiceUnavailable)
	case serviceConnect:
		return refuse("ThrottlingException", "Rate exceeded")
	}
	return refuse("Throttling", "Rate exceeded")
}

// ofModel is the answer to a call that the model refuses.
func ofModel(service string, f failure.Failure) *apiError {
	switch {
	case f.Kind == failure.Throttled:
		return throttled(service)
	case service == serviceEC2:
		return refuse("InternalError", "An internal error has occurred").with(http.StatusInternalServerError)
	}
	return refuse("InternalFailure", "The request processing has failed because of an unknown error, exception or failure.").
		with(http.StatusInternalServerError)
}
