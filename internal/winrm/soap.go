package winrm

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// The names of WS-Management and of Windows' shells.
const (
	actionCreate  = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Create"
	actionDelete  = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Delete"
	shellSpace    = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"
	actionCommand = shellSpace + "/Command"
	actionSend    = shellSpace + "/Send"
	actionReceive = shellSpace + "/Receive"
	actionSignal  = shellSpace + "/Signal"
	resourceCmd   = shellSpace + "/cmd"
	codeTerminate = shellSpace + "/signal/terminate"

	// envelopeSize is the size of the largest answer that the client asks for, in bytes, and the size that every server accepts.
	envelopeSize = 153600
	// shellIdle is when a server ends a shell of which it hears nothing, and with it its command.
	shellIdle = 30 * time.Minute
)

// message is one request.
type message struct {
	action  string
	shell   string // the shell that it is for; empty: none yet
	options [][2]string
	body    string
}

// envelope returns the message as XML, and its id.
func (m *message) envelope(to string, timeout time.Duration) (text, id string) {
	id = newID()
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" ` +
		`xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" ` +
		`xmlns:p="http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd" xmlns:rsp="` + shellSpace + `"><s:Header>`)
	fmt.Fprintf(&b, `<a:To>%s</a:To><a:ReplyTo><a:Address s:mustUnderstand="true">`+
		`http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>`, escape(to))
	fmt.Fprintf(&b, `<a:Action s:mustUnderstand="true">%s</a:Action><a:MessageID>%s</a:MessageID>`, m.action, id)
	fmt.Fprintf(&b, `<w:ResourceURI s:mustUnderstand="true">%s</w:ResourceURI><w:MaxEnvelopeSize s:mustUnderstand="true">%d</w:MaxEnvelopeSize>`,
		resourceCmd, envelopeSize)
	fmt.Fprintf(&b, `<w:OperationTimeout>%s</w:OperationTimeout><w:Locale xml:lang="en-US" s:mustUnderstand="false"/>`+
		`<p:DataLocale xml:lang="en-US" s:mustUnderstand="false"/>`, duration(timeout))
	if m.shell != "" {
		fmt.Fprintf(&b, `<w:SelectorSet><w:Selector Name="ShellId">%s</w:Selector></w:SelectorSet>`, escape(m.shell))
	}
	if len(m.options) > 0 {
		b.WriteString("<w:OptionSet>")
		for _, o := range m.options {
			fmt.Fprintf(&b, `<w:Option Name="%s">%s</w:Option>`, o[0], o[1])
		}
		b.WriteString("</w:OptionSet>")
	}
	b.WriteString("</s:Header><s:Body>" + m.body + "</s:Body></s:Envelope>")
	return b.String(), id
}

func createMessage(env map[string]string) *message {
	var b strings.Builder
	fmt.Fprintf(&b, `<rsp:Shell><rsp:InputStreams>stdin</rsp:InputStreams><rsp:OutputStreams>stdout stderr</rsp:OutputStreams>`+
		`<rsp:IdleTimeOut>%s</rsp:IdleTimeOut>`, duration(shellIdle))
	if len(env) > 0 {
		b.WriteString("<rsp:Environment>")
		for _, name := range slices.Sorted(maps.Keys(env)) {
			fmt.Fprintf(&b, `<rsp:Variable Name="%s">%s</rsp:Variable>`, escape(name), escape(env[name]))
		}
		b.WriteString("</rsp:Environment>")
	}
	b.WriteString("</rsp:Shell>")
	// 65001 is UTF-8.
	return &message{action: actionCreate, options: [][2]string{{"WINRS_NOPROFILE", "FALSE"}, {"WINRS_CODEPAGE", "65001"}}, body: b.String()}
}

func deleteMessage(shell string) *message { return &message{action: actionDelete, shell: shell} }

func commandMessage(shell, command string) *message {
	return &message{
		action: actionCommand, shell: shell,
		// stdin is a pipe and no console, so that bytes arrive as they are and its end is seen.
		options: [][2]string{{"WINRS_CONSOLEMODE_STDIN", "FALSE"}, {"WINRS_SKIP_CMD_SHELL", "FALSE"}},
		body:    "<rsp:CommandLine><rsp:Command>" + escape(command) + "</rsp:Command></rsp:CommandLine>",
	}
}

func sendMessage(shell, command string, data []byte, end bool) *message {
	last := ""
	if end {
		last = ` End="true"`
	}
	return &message{action: actionSend, shell: shell, body: fmt.Sprintf(`<rsp:Send><rsp:Stream Name="stdin" CommandId="%s"%s>%s</rsp:Stream></rsp:Send>`,
		escape(command), last, base64.StdEncoding.EncodeToString(data))}
}

func receiveMessage(shell, command string) *message {
	return &message{action: actionReceive, shell: shell,
		body: fmt.Sprintf(`<rsp:Receive><rsp:DesiredStream CommandId="%s">stdout stderr</rsp:DesiredStream></rsp:Receive>`, escape(command))}
}

func terminateMessage(shell, command string) *message {
	return &message{action: actionSignal, shell: shell,
		body: fmt.Sprintf(`<rsp:Signal CommandId="%s"><rsp:Code>%s</rsp:Code></rsp:Signal>`, escape(command), codeTerminate)}
}

// newID returns an id for a message, in the form of a random UUID.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("uuid:%X-%X-%X-%X-%X", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// duration returns d as xs:duration.
func duration(d time.Duration) string { return fmt.Sprintf("PT%.3fS", d.Seconds()) }

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder does not fail
	return b.String()
}

// Unsendable returns the first character of text that XML cannot carry, or "". Without this check it would arrive as another character.
func Unsendable(text string) string {
	for i, r := range text {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(text[i:]); n == 1 {
				return text[i : i+1]
			}
		}
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
			return string(r)
		}
	}
	return ""
}
