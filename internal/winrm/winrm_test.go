package winrm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/taskscaler/taskscaler/internal/winrm/ntlm"
	"github.com/taskscaler/taskscaler/pkg/secret"
)

// fault is what Windows answers while a command is quiet.
const fault = `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"
 xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"><s:Header><a:RelatesTo>uuid:1</a:RelatesTo></s:Header><s:Body><s:Fault><s:Code>
 <s:Value>s:Receiver</s:Value><s:Subcode><s:Value>w:TimedOut</s:Value></s:Subcode></s:Code><s:Reason><s:Text xml:lang="en-US">Not within
 OperationTimeout.</s:Text></s:Reason><s:Detail><f:WSManFault xmlns:f="http://schemas.microsoft.com/wbem/wsman/1/wsmanfault" Code="2150858793"
 Machine="host"><f:Message>Not within OperationTimeout.</f:Message></f:WSManFault></s:Detail></s:Fault></s:Body></s:Envelope>`

func receive(inner string) string {
	return `<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:rsp="` + shellSpace + `"><s:Header/><s:Body><rsp:ReceiveResponse>` + inner +
		`</rsp:ReceiveResponse></s:Body></s:Envelope>`
}

const done = `<rsp:CommandState CommandId="c" State="` + shellSpace + `/CommandState/Done"><rsp:ExitCode>%s</rsp:ExitCode></rsp:CommandState>`

func TestAnswers(t *testing.T) {
	_, err := parseAnswer([]byte(fault), "uuid:1")
	var f *Fault
	if !errors.As(err, &f) || f.Code != CodeTimedOut || f.Subcode != "w:TimedOut" || strings.Contains(f.Text, "\n") || !isFault(err, CodeTimedOut, "TimedOut") {
		t.Errorf("a fault: %#v", err)
	}
	if _, err := parseAnswer([]byte(fault), "uuid:2"); !errors.Is(err, ErrAnswer) {
		t.Errorf("the answer to another request: %v", err)
	}
	e, err := parseAnswer([]byte(receive(`<rsp:Stream Name="stdout" CommandId="c">YQ==</rsp:Stream><rsp:Stream Name="stderr" CommandId="c">
		Yg==
		</rsp:Stream><rsp:Stream Name="stdout" CommandId="c" End="true"/>`+fmt.Sprintf(done, " -1073741510 "))), "")
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.output()
	if err != nil || !out.Done || out.Code != -1073741510 || len(out.Chunks) != 2 || string(out.Chunks[0].Data) != "a" || !out.Chunks[1].Stderr {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestAnswersThatAreRefused(t *testing.T) {
	for name, inner := range map[string]string{
		"no base64": `<rsp:Stream Name="stdout">*</rsp:Stream>`, "another stream": `<rsp:Stream Name="pr">YQ==</rsp:Stream>`,
		"no exit code":  `<rsp:CommandState State="` + shellSpace + `/CommandState/Done"/>`,
		"bad exit code": fmt.Sprintf(done, "zero"), "huge exit code": fmt.Sprintf(done, "99999999999"),
	} {
		e, err := parseAnswer([]byte(receive(inner)), "")
		if err != nil {
			t.Fatal(err)
		}
		if out, err := e.output(); !errors.Is(err, ErrAnswer) {
			t.Errorf("%s: %+v, %v", name, out, err)
		}
	}
	e, err := parseAnswer([]byte(receive("")), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.shellID(); !errors.Is(err, ErrAnswer) {
		t.Errorf("no shell: %v", err)
	}
	if _, err := e.commandID(); !errors.Is(err, ErrAnswer) {
		t.Errorf("no command: %v", err)
	}
}

func TestMessages(t *testing.T) {
	m := commandMessage("S", `echo <a> & "b"`)
	text, id := m.envelope("http://h/wsman", 1500*time.Millisecond)
	for _, want := range []string{id, "PT1.500S", `Name="ShellId">S<`, "echo &lt;a&gt; &amp; &#34;b&#34;", `Name="WINRS_CONSOLEMODE_STDIN">FALSE`} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in %s", want, text)
		}
	}
	if text, _ := createMessage(map[string]string{"A": "1", "B": "<"}).envelope("u", time.Second); !strings.Contains(text, "65001") ||
		!strings.Contains(text, `<rsp:Variable Name="A">1</rsp:Variable><rsp:Variable Name="B">&lt;</rsp:Variable>`) {
		t.Errorf("a shell: %s", text)
	}
	if text, _ := sendMessage("S", "C", make([]byte, MaxChunk), true).envelope("u", time.Second); len(text) > envelopeSize {
		t.Errorf("the largest piece of stdin makes an envelope of %d bytes", len(text))
	}
}

func TestUnsendable(t *testing.T) {
	for text, want := range map[string]string{"a\tb\r\nü😀�": "", "a\x00": "\x00", "\x1b": "\x1b", "a\xff": "\xff", "\uffff": "\uffff"} {
		if got := Unsendable(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// TestSealedForm: what is sealed can be taken apart, also when the bytes look like a boundary. Anything that is cut or longer is refused.
func TestSealedForm(t *testing.T) {
	_, session, err := ntlmSession()
	if err != nil {
		t.Fatal(err)
	}
	text := []byte("--Encrypted Boundary--\r\n text")
	body := seal(session, text)
	sealed, signature, err := splitSealed(body)
	if err != nil || len(sealed) != len(text) || len(signature) != ntlm.SignatureSize {
		t.Fatalf("%d, %d, %v", len(sealed), len(signature), err)
	}
	if spaced := bytes.ReplaceAll(body, []byte("--Encrypted"), []byte("-- Encrypted")); true {
		if _, _, err := splitSealed(spaced); err != nil {
			t.Errorf("with a space after the dashes: %v", err)
		}
	}
	for i := range len(body) - 2 {
		if _, _, err := splitSealed(body[:i]); err == nil {
			t.Fatalf("the first %d of %d bytes are accepted", i, len(body))
		}
	}
	if _, _, err := splitSealed(append(body, "more"...)); err == nil {
		t.Error("more bytes are accepted")
	}
}

// ntlmSession makes a session without a server.
func ntlmSession() ([]byte, *ntlm.Session, error) {
	challenge := append([]byte("NTLMSSP\x00\x02\x00\x00\x00"), make([]byte, 8)...)
	challenge = append(challenge, 0x35, 0x82, 0x88, 0x62) // every flag that is required
	challenge = append(challenge, make([]byte, 16)...)
	challenge = append(challenge, 4, 0, 4, 0, 48, 0, 0, 0, 0, 0, 0, 0)
	return ntlm.Login{User: "u", Password: secret.New("p")}.Authenticate(ntlm.Negotiate(), challenge, "h", nil, time.Unix(0, 0), bytes.NewReader(make([]byte, 24)))
}

// scripted is a connection that answers every request with the same text.
func scripted(t testing.TB, text string) *channel {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { _ = ours.Close() })
	go func() {
		defer theirs.Close()
		buf := make([]byte, 64<<10)
		if _, err := theirs.Read(buf); err == nil {
			_, _ = io.WriteString(theirs, text)
		}
	}()
	return newChannel(ours, ours, "http://h/wsman")
}

func httpAnswer(status int, contentType, body string) string {
	return fmt.Sprintf("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s", status, http.StatusText(status), contentType,
		len(body), body)
}

// TestPlainAnswerToASealedRequest: after a login with NTLM, an answer that is not sealed is not believed, because anybody between could have written it.
func TestPlainAnswerToASealedRequest(t *testing.T) {
	_, session, err := ntlmSession()
	if err != nil {
		t.Fatal(err)
	}
	for name, answer := range map[string]string{
		"an answer": httpAnswer(200, "application/soap+xml", receive(fmt.Sprintf(done, "0"))), "a fault": httpAnswer(500, "application/soap+xml", fault),
	} {
		ch := scripted(t, answer)
		ch.session = session
		var status *StatusError
		body, last, err := ch.exchange(context.Background(), []byte("x"))
		if !errors.As(err, &status) || !status.Unsealed || !last || body != nil {
			t.Errorf("%s: %q, %v", name, body, err)
		}
	}
	ch := scripted(t, httpAnswer(200, sealedHeader, "--Encrypted Boundary\r\n"))
	ch.session = session
	if _, last, err := ch.exchange(context.Background(), []byte("x")); !errors.Is(err, ErrAnswer) || !last {
		t.Errorf("half an answer: %v", err)
	}
}

func TestOffers(t *testing.T) {
	h := http.Header{"Www-Authenticate": {"Negotiate, Kerberos", `Basic realm="WSMAN", charset="UTF-8"`, "Negotiate"}}
	if got := fmt.Sprint(offers(h)); got != "[Negotiate Kerberos Basic]" {
		t.Error(got)
	}
}

// TestIdleConnections: an idle connection that the server has closed is replaced, for a request that may be repeated.
func TestIdleConnections(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := 0
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted++
			buf := make([]byte, 64<<10)
			if _, err := conn.Read(buf); err == nil { // one request for each connection, and it does not say so
				_, _ = io.WriteString(conn, httpAnswer(200, "application/soap+xml", `<Envelope><Body><Shell><ShellId>S</ShellId></Shell></Body></Envelope>`))
			}
			_ = conn.Close()
		}
	}()
	c := New(Config{Address: l.Addr().String(), Dial: new(net.Dialer).DialContext, Methods: []Method{Basic}, Poll: time.Minute, Answer: 2 * time.Minute})
	defer c.Close()
	for range 3 {
		if id, err := c.CreateShell(context.Background(), nil); err != nil || id != "S" {
			t.Fatalf("%q, %v", id, err)
		}
	}
	c.Close()
	if _, err := c.CreateShell(context.Background(), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
