package winrm

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"unicode"
)

// FuzzWinRMAnswer: no answer makes the client panic, and no error carries more than a printable line.
func FuzzWinRMAnswer(f *testing.F) {
	f.Add([]byte(fault))
	f.Add([]byte(receive(`<rsp:Stream Name="stdout">YQ==</rsp:Stream>` + fmt.Sprintf(done, "7"))))
	f.Add([]byte(`<Envelope><Body><ResourceCreated><ReferenceParameters><SelectorSet><Selector Name="ShellId">S</Selector></SelectorSet></ReferenceParameters></ResourceCreated></Body></Envelope>`))
	f.Add([]byte(`<Envelope><Body><CommandResponse><CommandId>C</CommandId></CommandResponse></Body></Envelope>`))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := parseAnswer(text, "uuid:1")
		if err == nil {
			_, _ = e.shellID()
			_, _ = e.commandID()
			_, err = e.output()
		}
		wantShort(t, err)
	})
}

// wantShort checks that an error is one printable line.
func wantShort(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if len(err.Error()) > 1000 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
	for _, r := range err.Error() {
		if !unicode.IsPrint(r) {
			t.Errorf("%q is in the error", r)
		}
	}
}

// FuzzWinRMSealed: no sealed message makes the client panic, and none is accepted that the server did not seal.
func FuzzWinRMSealed(f *testing.F) {
	_, session, err := ntlmSession()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seal(session, []byte("x")))
	f.Add([]byte("--Encrypted Boundary\r\n\tLength=-1\r\n--Encrypted Boundary\r\nx\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		_, session, err := ntlmSession()
		if err != nil {
			t.Fatal(err)
		}
		if text, err := unseal(session, body); err == nil {
			t.Errorf("%q is accepted as %q", body, text)
		}
	})
}

// FuzzWinRMReply: no bytes on the connection make the client panic, or make it believe a plain answer after a login with NTLM.
func FuzzWinRMReply(f *testing.F) {
	f.Add(httpAnswer(500, "application/soap+xml", fault), false)
	f.Add(httpAnswer(200, sealedHeader, "--Encrypted Boundary\r\n"), true)
	f.Add("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n", true)
	f.Add("SSH-2.0-OpenSSH\r\n", false)
	f.Fuzz(func(t *testing.T, text string, sealed bool) {
		ch := scripted(t, text)
		if sealed {
			_, session, err := ntlmSession()
			if err != nil {
				t.Fatal(err)
			}
			ch.session = session
		}
		body, _, err := ch.exchange(context.Background(), []byte("x"))
		if sealed && err == nil {
			t.Errorf("%q is believed", body)
		}
		var login *LoginError
		if errors.As(err, &login) && len(login.Offered) > 8 {
			t.Errorf("%d schemes", len(login.Offered))
		}
		wantShort(t, err)
	})
}
