package ec2

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"time"
)

// members is a list in the answers of query services, items one in the answers of EC2. Empty lists are answered too, as AWS does.
type (
	members[T any] struct {
		List []T `xml:"member"`
	}
	items[T any] struct {
		List []T `xml:"item"`
	}
)

// none is the answer of an action that answers nothing.
type none struct{}

// done is the answer of EC2's actions that only say that they worked.
type done struct {
	Return bool `xml:"return"`
}

// stamp is a time in an answer.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// seconds is a time within a sentence.
func seconds(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// protocol is how a service writes answers and errors.
type protocol interface {
	answer(action, request string, out any) ([]byte, error)
	failed(request string, e *apiError) []byte
	contentType() string
}

// queryXML is the protocol of Auto Scaling, IAM and STS.
type queryXML struct{ namespace string }

func (p queryXML) contentType() string { return "text/xml" }

func (p queryXML) answer(action, request string, out any) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<%sResponse xmlns="%s">`, action, p.namespace)
	if _, empty := out.(*none); !empty {
		if err := xml.NewEncoder(&b).EncodeElement(out, xml.StartElement{Name: xml.Name{Local: action + "Result"}}); err != nil {
			return nil, err
		}
	}
	fmt.Fprintf(&b, "<ResponseMetadata><RequestId>%s</RequestId></ResponseMetadata></%sResponse>", request, action)
	return b.Bytes(), nil
}

func (p queryXML) failed(request string, e *apiError) []byte {
	side := "Sender"
	if e.status >= http.StatusInternalServerError {
		side = "Receiver"
	}
	return fmt.Appendf(nil, `<ErrorResponse xmlns="%s"><Error><Type>%s</Type><Code>%s</Code><Message>%s</Message></Error><RequestId>%s</RequestId></ErrorResponse>`,
		p.namespace, side, escape(e.code), escape(e.message), request)
}

// ec2XML is the protocol of EC2.
type ec2XML struct{}

func (ec2XML) contentType() string { return "text/xml;charset=UTF-8" }

func (ec2XML) answer(action, request string, out any) ([]byte, error) {
	var inner bytes.Buffer
	if err := xml.NewEncoder(&inner).EncodeElement(out, xml.StartElement{Name: xml.Name{Local: "X"}}); err != nil {
		return nil, err
	}
	content := bytes.TrimSuffix(bytes.TrimPrefix(inner.Bytes(), []byte("<X>")), []byte("</X>"))
	return fmt.Appendf(nil, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<%sResponse xmlns=\"http://ec2.amazonaws.com/doc/%s/\"><requestId>%s</requestId>%s</%sResponse>",
		action, versionEC2, request, content, action), nil
}

func (ec2XML) failed(request string, e *apiError) []byte {
	return fmt.Appendf(nil, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors><RequestID>%s</RequestID></Response>",
		escape(e.code), escape(e.message), request)
}

// amzJSON is the protocol of EC2 Instance Connect.
type amzJSON struct{}

func (amzJSON) contentType() string { return "application/x-amz-json-1.1" }

func (amzJSON) answer(_, _ string, out any) ([]byte, error) { return json.Marshal(out) }

func (amzJSON) failed(_ string, e *apiError) []byte {
	body, err := json.Marshal(map[string]string{"__type": e.code, "message": e.message})
	if err != nil {
		panic(err) // two strings
	}
	return body
}

func escape(s string) string {
	var b bytes.Buffer
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		panic(err) // a buffer takes everything
	}
	return b.String()
}
