package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/taskscaler/taskscaler/pkg/secret"
)

const hidden = "hunter2-and-more"

// shows fails if text contains the secret, as it is or as the numbers of its bytes.
func shows(t *testing.T, how, text string) {
	t.Helper()
	numbers := strings.Trim(fmt.Sprint([]byte(hidden)), "[]")
	for _, form := range []string{hidden, numbers, fmt.Sprintf("%x", hidden), fmt.Sprintf("%X", hidden)} {
		if strings.Contains(text, form) {
			t.Errorf("%s shows the secret: %s", how, text)
		}
	}
}

func TestTextIsNeverPrinted(t *testing.T) {
	text := secret.New(hidden)
	type login struct{ Password string }
	type holder struct { // unexported: fmt cannot call their methods
		text  secret.Text
		login secret.Value[login]
	}
	value := secret.Hide(login{hidden})
	values := []any{
		text, &text, []secret.Text{text}, map[string]secret.Text{"a": text}, map[secret.Text]int{text: 1}, holder{text, value}, &holder{text, value},
		value, &value, struct{ Login secret.Value[login] }{value},
		struct{ Password secret.Text }{text}, errors.New(fmt.Sprint("login: ", text)), fmt.Errorf("login: %w", fmt.Errorf("%v", text)),
	}
	for _, v := range values {
		for _, verb := range "vTtbcdoOqxXUeEfFgGspwz" {
			for _, flags := range []string{"", "+", "#", "-30", "030", ".2", " "} {
				format := "%" + flags + string(verb)
				shows(t, format, fmt.Sprintf(format, v))
			}
		}
		for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
			"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
			"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		} {
			var log bytes.Buffer
			slog.New(handler(&log)).Info("x", "value", v)
			shows(t, "slog "+name, log.String())
		}
		if raw, err := json.Marshal(v); err == nil {
			shows(t, "JSON", string(raw))
		}
		if raw, err := xml.Marshal(v); err == nil {
			shows(t, "XML", string(raw))
		}
		var stream bytes.Buffer
		_ = gob.NewEncoder(&stream).Encode(v)
		shows(t, "gob", stream.String())
	}
	if got := fmt.Sprintf("%v %s %#v %q %x", text, text, text, text, text); got != strings.TrimSpace(strings.Repeat(secret.Redacted+" ", 5)) {
		t.Errorf("it prints as %s", got)
	}
	if got := fmt.Sprintf("%v %s %#v %q %x", value, value, value, value, value); got != strings.TrimSpace(strings.Repeat(secret.Redacted+" ", 5)) {
		t.Errorf("a value prints as %s", got)
	}
	if value.GoString() != secret.Redacted || text.GoString() != secret.Redacted || text.String() != secret.Redacted {
		t.Error("its methods do not return the placeholder")
	}
}

func TestTextHoldsItsText(t *testing.T) {
	var none secret.Text
	if got := secret.New(""); got != none || !got.Empty() || got.Reveal() != "" || got.String() != "" || fmt.Sprint(got) != "" {
		t.Errorf("the empty text is %q", got.Reveal())
	}
	a, b := secret.New("x"), secret.New("x")
	if !a.Equal(b) || !reflect.DeepEqual(a, b) || a.Equal(secret.New("y")) || a.Equal(none) || a.Empty() || a.Reveal() != "x" {
		t.Error("texts do not compare by what they hold")
	}
}

func TestValueHoldsItsValue(t *testing.T) {
	var none secret.Value[[]string]
	if none.Reveal() != nil || none.String() != "" {
		t.Errorf("the zero value holds %v", none.Reveal())
	}
	if got := secret.Hide([]string{"a"}).Reveal(); len(got) != 1 || got[0] != "a" {
		t.Errorf("it holds %v", got)
	}
}

func TestTextIsRead(t *testing.T) {
	var config struct {
		Token secret.Text `json:"token"`
		None  secret.Text `json:"none"`
	}
	if err := json.Unmarshal([]byte(`{"token": "hunter2", "none": ""}`), &config); err != nil {
		t.Fatal(err)
	}
	if config.Token.Reveal() != "hunter2" || !config.None.Empty() {
		t.Errorf("read %q and %q", config.Token.Reveal(), config.None.Reveal())
	}
	if raw, err := json.Marshal(config); err != nil || string(raw) != `{"token":"[redacted]","none":""}` {
		t.Errorf("written as %s, %v", raw, err)
	}
}
