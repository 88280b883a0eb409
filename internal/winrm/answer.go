package winrm

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/taskscaler/taskscaler/internal/safetext"
)

// envelope is what is read of an answer. Names of elements count, and not their namespaces: none of them occurs in two.
type envelope struct {
	XMLName   xml.Name
	RelatesTo string `xml:"Header>RelatesTo"`
	Body      struct {
		Fault   *faultXML `xml:"Fault"`
		Created struct {
			Selectors []struct {
				Name  string `xml:"Name,attr"`
				Value string `xml:",chardata"`
			} `xml:"ReferenceParameters>SelectorSet>Selector"`
		} `xml:"ResourceCreated"`
		Shell struct {
			ID string `xml:"ShellId"`
		} `xml:"Shell"`
		Command struct {
			ID string `xml:"CommandId"`
		} `xml:"CommandResponse"`
		Receive *receiveXML `xml:"ReceiveResponse"`
	} `xml:"Body"`
}

type faultXML struct {
	Subcode string `xml:"Code>Subcode>Value"`
	Text    string `xml:"Reason>Text"`
	Detail  struct {
		Code    string `xml:"Code,attr"`
		Message string `xml:"Message"`
	} `xml:"Detail>WSManFault"`
}

type receiveXML struct {
	Streams []struct {
		Name string `xml:"Name,attr"`
		Data string `xml:",chardata"`
	} `xml:"Stream"`
	State *struct {
		State string  `xml:"State,attr"`
		Exit  *string `xml:"ExitCode"`
	} `xml:"CommandState"`
}

// ErrAnswer means that an answer is not one of WinRM.
var ErrAnswer = errors.New("the server's answer is not one of WinRM")

// parseAnswer reads an answer to the message with this id. A fault becomes a *Fault.
func parseAnswer(text []byte, id string) (*envelope, error) {
	var e envelope
	if err := xml.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("%w: it cannot be read as XML", ErrAnswer)
	}
	if e.XMLName.Local != "Envelope" {
		return nil, fmt.Errorf("%w: it is no SOAP envelope", ErrAnswer)
	}
	if to := strings.TrimSpace(e.RelatesTo); to != "" && id != "" && !strings.EqualFold(to, id) {
		return nil, fmt.Errorf("%w: it belongs to another request", ErrAnswer)
	}
	if e.Body.Fault != nil {
		return nil, e.Body.Fault.fault()
	}
	return &e, nil
}

// The codes of faults that have a meaning for the client.
const (
	CodeTimedOut     = 2150858793 // there is no output yet
	CodeNoShell      = 2150858843 // the shell is gone
	CodeAccessDenied = 5
)

// Fault is an error that the server reports.
type Fault struct {
	Code    uint32 // of Windows or WinRM; 0: unknown
	Subcode string // of WS-Management, such as "w:TimedOut"
	Text    string // the server's words, as one printable line
}

// Error returns the server's words and the code.
func (f *Fault) Error() string {
	switch {
	case f.Text == "" && f.Code == 0:
		return "the server reports an unnamed fault"
	case f.Code == 0:
		return "the server reports: " + f.Text
	case f.Text == "":
		return fmt.Sprintf("the server reports fault %d (%#x)", f.Code, f.Code)
	}
	return fmt.Sprintf("the server reports: %s (fault %d, %#x)", f.Text, f.Code, f.Code)
}

const maxFaultText = 300

func (f *faultXML) fault() *Fault {
	text := f.Text
	if strings.TrimSpace(text) == "" {
		text = f.Detail.Message
	}
	code, _ := strconv.ParseUint(strings.TrimSpace(f.Detail.Code), 10, 32) // 0: unknown
	return &Fault{Code: uint32(code), Subcode: safetext.Line(f.Subcode, maxFaultText), Text: safetext.Line(strings.TrimSpace(text), maxFaultText)}
}

// is reports whether err is a fault with this code, or with this subcode of WS-Management.
func isFault(err error, code uint32, subcode string) bool {
	var f *Fault
	return errors.As(err, &f) && (f.Code == code || f.Code == 0 && subcode != "" && strings.HasSuffix(f.Subcode, ":"+subcode))
}

// NoShell reports whether err says that a shell is gone.
func NoShell(err error) bool { return isFault(err, CodeNoShell, "") }

// shellID returns the id of the shell that was created.
func (e *envelope) shellID() (string, error) {
	for _, s := range e.Body.Created.Selectors {
		if id := strings.TrimSpace(s.Value); s.Name == "ShellId" && id != "" {
			return id, nil
		}
	}
	if id := strings.TrimSpace(e.Body.Shell.ID); id != "" {
		return id, nil
	}
	return "", fmt.Errorf("%w: the new shell has no id", ErrAnswer)
}

func (e *envelope) commandID() (string, error) {
	if id := strings.TrimSpace(e.Body.Command.ID); id != "" {
		return id, nil
	}
	return "", fmt.Errorf("%w: the command has no id", ErrAnswer)
}

// Chunk is a piece of output.
type Chunk struct {
	Stderr bool
	Data   []byte
}

// Output is an answer to Receive.
type Output struct {
	Chunks []Chunk // in their order
	Done   bool
	Code   int // exit code; valid if Done
}

func (e *envelope) output() (*Output, error) {
	r := e.Body.Receive
	if r == nil {
		return nil, fmt.Errorf("%w: the output is missing", ErrAnswer)
	}
	out := &Output{}
	for _, s := range r.Streams {
		data, err := base64.StdEncoding.DecodeString(strings.TrimSpace(s.Data))
		if err != nil || s.Name != "stdout" && s.Name != "stderr" {
			return nil, fmt.Errorf("%w: the output cannot be read", ErrAnswer)
		}
		if len(data) > 0 {
			out.Chunks = append(out.Chunks, Chunk{Stderr: s.Name == "stderr", Data: data})
		}
	}
	if r.State == nil || !strings.HasSuffix(r.State.State, "/CommandState/Done") {
		return out, nil
	}
	if r.State.Exit == nil {
		return nil, fmt.Errorf("%w: the command ended without an exit code", ErrAnswer)
	}
	code, err := strconv.ParseInt(strings.TrimSpace(*r.State.Exit), 10, 64)
	if err != nil || code < -1<<31 || code > 1<<32-1 {
		return nil, fmt.Errorf("%w: the exit code cannot be read", ErrAnswer)
	}
	out.Done, out.Code = true, int(code)
	return out, nil
}
