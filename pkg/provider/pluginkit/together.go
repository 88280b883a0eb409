package pluginkit

import (
	"errors"
	"fmt"
	"strings"

	"github.com/taskscaler/taskscaler/pkg/provider"
)

// maxTogether is how many errors Together joins: they go to one line of a log.
const maxTogether = 3

// Together makes one error of several, and nil of none. Its kind is KindTransient if one of them has that kind, because then the outcome of a call is unknown;
// else it is the kind of the first. Equal texts are said once, and of more than three different ones the first three.
func Together(errs []error) error {
	told := distinct(errs)
	switch len(told) {
	case 0:
		return nil
	case 1:
		return told[0]
	}
	kind := provider.KindOf(told[0])
	e := &provider.Error{Kind: kind, Err: &several{kind, told}}
	for _, err := range told {
		if of := (*provider.Error)(nil); errors.As(err, &of) && of.Kind == kind {
			e.RetryAfter = max(e.RetryAfter, of.RetryAfter)
		}
	}
	return e
}

// distinct returns the errors with different texts, those of KindTransient first.
func distinct(errs []error) (told []error) {
	seen := map[string]bool{}
	for _, transient := range []bool{true, false} {
		for _, err := range errs {
			if err == nil || errors.Is(err, errNotStarted) || (provider.KindOf(err) == provider.KindTransient) != transient || seen[err.Error()] {
				continue
			}
			seen[err.Error()] = true
			told = append(told, err)
		}
	}
	return told
}

// several is more than one error in one line. All are in its chain.
type several struct {
	kind provider.FailureKind // which is said once, before the texts
	errs []error
}

func (s *several) Unwrap() []error { return s.errs }

func (s *several) Error() string {
	var texts []string
	for _, err := range s.errs[:min(len(s.errs), maxTogether)] {
		texts = append(texts, strings.TrimPrefix(err.Error(), s.kind.String()+": "))
	}
	if more := len(s.errs) - maxTogether; more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, "; ")
}
